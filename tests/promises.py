"""Each promise of SECURITY.md, and the tests that try the ways around it: run this file to print it.

A way is a file below `tests` and a function in it; `test_promises.py` checks that none is missing.
"""

import re
from pathlib import Path

HERE = Path(__file__).parent

KEYS = "faults/test_faults_keys.py"
ADDRESSES = "faults/test_faults_addresses.py"
STRANGERS = "faults/test_faults_strangers.py"
LIMITS = "faults/test_faults_limits.py"
HOSTILE = "faults/test_faults_hostile.py"
SCAN = "imaging/test_imaging_scan.py"
METADATA = "imaging/test_imaging_metadata.py"
OWNERSHIP = "store/test_store_ownership.py"
DOWNLOADS = "client/test_client_downloads.py"

WAYS = {
    "Origin": {
        "test_keys.py": (
            "a_secret_shows_itself_to_its_origin_alone",
            "a_typed_key_belongs_to_the_origin_that_it_was_typed_for",
        ),
        ADDRESSES: (
            "42_what_a_download_host_sees",
            "43_a_redirected_post",
            "44_a_netrc_entry_for_the_server",
        ),
        STRANGERS: ("a_rerun_at_a_server_that_is_named_takes_no_key_along",),
    },
    "Sources": {
        "test_keys.py": (
            "the_order_of_places",
            "dotenv",
            "the_prompt_names_the_endpoint_and_the_host_that_gets_the_key",
            "keyring",
            "colab",
        ),
    },
    "Vendors' keys": {
        "catalog/test_catalog_registry.py": ("an_entry_may_not_send_a_vendors_key_elsewhere",),
    },
    "Encryption": {
        "catalog/test_catalog_registry.py": ("a_key_over_http_needs_leave",),
        ADDRESSES: (
            "104_a_name_below_localhost_that_leads_elsewhere",
            "104_a_name_below_localhost_that_leads_here",
        ),
    },
    "Echoes": {
        KEYS: (
            "what_a_server_echoes_is_nowhere",
            "what_is_recovered_is_searched_like_what_is_read_at_once",
            "a_page_at_a_result_url_is_kept_without_the_key",
            "a_redirect_of_a_result_url_does_not_spread_the_key",
            "the_key_of_another_entry_is_taken_out_too",
            "the_key_of_another_entry_in_the_response_to_a_remote_call",
        ),
        "properties/test_property_keys.py": (
            "no_eight_characters_in_a_row_survive",
            "a_spool_holds_no_key_however_it_comes",
        ),
        "faults/test_canary.py": ("no_trace_of_the_key_in_anything_that_a_notebook_leaves",),
    },
    "Images with a key": {
        METADATA: (
            "a_key_in_the_texts_of_an_image_is_overwritten",
            "in_every_spelling",
            "a_key_in_utf_16_as_exif_comments_are",
            "a_flood_of_segments_is_searched_as_one",
            "a_key_that_pixels_happen_to_spell_stays",
            "a_truncated_image_shows_no_key_either",
        ),
        KEYS: ("an_image_with_a_key_in_its_texts_is_kept_without_it",),
    },
    "Own cells": {KEYS: ("every_key_that_was_ever_found_is_recognised",)},
    "Tracebacks and pickles": {
        KEYS: (
            "an_interrupt_at_any_line_shows_no_key",
            "a_hidden_text_shows_itself_nowhere",
            "nothing_that_holds_a_key_is_pickled",
            "a_key_travels_in_a_remote_task_alone_and_shows_nowhere_there",
        ),
    },
    "Unusable keys": {KEYS: ("a_key_that_can_be_none_is_refused_for_its_own_endpoint_alone",)},
    "Time of searches": {
        KEYS: (
            "a_search_takes_time_in_proportion_to_the_text",
            "a_long_line_of_the_env_file_takes_time_in_proportion",
        ),
        "client/test_client_limits.py": (),
    },
    "Once": {
        "faults/test_faults_unknown.py": (),
        "faults/test_faults_never_sent.py": (),
        "faults/test_faults_refused.py": ("16_status_429_then_200", "19_status_429_for_ever"),
    },
    "Stored results": {"faults/test_faults_asked.py": (), "test_money.py": ()},
    "Limits": {
        LIMITS: ("102_every_spelling_of_a_number_counts", "102_what_is_no_number_of_images_is_refused"),
    },
    "Formats": {HOSTILE: ("34_other_files_labelled_as_png",)},
    "Cost of decoding": {
        SCAN: (
            "an_image_at_a_limit_passes_and_one_above_it_is_never_opened",
            "scans_weigh_as_much_as_the_pixels_that_they_pass_over",
            "what_passes_the_scan_and_takes_too_long_is_stopped",
            "the_time_of_a_scan_grows_with_the_file_and_not_with_its_square",
        ),
        "faults/test_faults_costly_images.py": ("97_an_image_that_is_costly_to_decode",),
        HOSTILE: ("33_images_that_burst",),
    },
    "Size": {
        HOSTILE: ("31_json_without_end", "32_gzip_bomb"),
        "client/test_client_compression.py": ("a_bomb_is_stopped_at_the_cap_and_takes_little_memory",),
    },
    "Count": {
        LIMITS: ("98_more_items_than_asked", "98_addresses_that_hold_nothing", "75_millions_of_tiny_items")
    },
    "Time": {LIMITS: ("99_reading_ends_in_time_and_goes_on_later",)},
    "Recovery": {
        "test_recovery.py": (
            "what_takes_long_is_taken_in_behind_the_cells",
            "an_ordinary_end_of_the_process_leaves_no_mark",
            "show_reads_what_a_cell_says_it_reads",
            "a_response_that_ended_one_reader_is_read_by_nobody_unasked",
            "forgetting_does_not_wait_for_what_is_taken_in",
        ),
    },
    "No markup": {
        HOSTILE: ("36_a_revised_prompt_with_a_script_a_path_and_an_address",),
        "faults/test_faults_refused.py": ("21_refusal_with_more_than_text",),
    },
    "URLs of images": {
        ADDRESSES: (
            "37_addresses_of_this_machine_and_its_network",
            "38_redirects_to_loopback",
            "39_a_name_that_changes_its_mind",
        ),
        DOWNLOADS: ("loopback_in_every_spelling", "a_redirect_away_from_https", "redirects_end"),
        "core/test_hosts.py": ("addresses_that_are_not_public",),
    },
    "Offline": {"faults/test_faults_offline.py": ()},
    "Records of strangers": {STRANGERS: ()},
    "Formats and fields": {
        LIMITS: (
            "106_formats_that_would_fill_the_memory",
            "106_extra_that_is_no_json",
            "106_lists_that_would_fill_the_memory",
        ),
    },
    "Ownership": {
        OWNERSHIP: ("files_of_others_in_the_folders_of_a_store_stay",),
        "test_ownership.py": (),
    },
    "Links": {
        OWNERSHIP: (
            "home_may_be_a_link_and_is_resolved_once",
            "a_link_to_a_folder_of_the_user_is_followed_and_nothing_deleted_through_it",
            "a_link_that_leads_elsewhere_is_refused_by_name_before_paying",
            "forgetting_names_the_files_that_stay_behind_a_link",
        ),
    },
    "Index": {
        OWNERSHIP: (
            "a_database_of_another_program_is_left_alone",
            "an_index_of_ours_behind_a_link_is_not_opened",
            "what_is_no_database_is_moved_aside_and_never_deleted",
        ),
    },
    "Modes": {
        OWNERSHIP: (
            "nothing_in_an_open_home_is_readable_to_others",
            "a_folder_of_the_user_is_closed_to_writers_before_paying",
            "a_folder_of_another_user_is_refused_before_paying",
            "an_index_that_is_open_to_others_is_closed",
            "a_file_system_without_modes_is_used_and_reported",
        ),
    },
    "Temporary folders": {
        OWNERSHIP: ("a_fallback_that_others_prepared_is_not_used",),
        "test_executors.py": ("a_folder_for_marks_that_others_prepared_is_not_used",),
    },
    "Place": {
        "test_homes.py": ("a_relative_home_is_refused_with_the_absolute_one", "a_home_in_every_spelling"),
        "properties/test_property_names.py": (),
    },
    "A class": {"sketch/test_sketch_class.py": ()},
    "Hosted notebooks": {"versions/check.py": ()},
}


def promises():
    """Return the names of the promises in SECURITY.md, in order."""
    text = (HERE.parent / "SECURITY.md").read_text()
    promised = text[text.index("## What is promised") : text.index("## Where it ends")]
    return re.findall(r"^- \*\*(.+?)\.\*\*", promised, re.MULTILINE)


def functions_in(file):
    """Return the names of the tests in a file, without `test_`."""
    return re.findall(r"^\s*(?:async )?def test_(\w+)\(", (HERE / file).read_text(), re.MULTILINE)


def main():
    """Print each promise with its ways; a file alone stands for all tests in it."""
    for name in promises():
        print(f"\n{name}")
        for file, tests in WAYS[name].items():
            for test in tests or (
                f"all {len(functions_in(file))} tests" if functions_in(file) else "run as a program",
            ):
                print(f"    {file:38} {test.replace('_', ' ')}")


if __name__ == "__main__":
    main()
