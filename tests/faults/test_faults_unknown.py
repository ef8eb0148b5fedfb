"""What was sent and has no certain end: it is never repeated, and may have been billed."""

from sockets import reset, status_line_only, trickle_head

from ipyimagegen.records import Status


def test_06_reset_after_sending(lab):
    lab.serve(reset)
    lab.cell()
    lab.check(Status.UNKNOWN, 1, "was reset")


def test_07_eof_without_a_reply(lab):
    lab.serve(b"")
    lab.cell()
    lab.check(Status.UNKNOWN, 1, "was closed")


def test_10_status_line_then_nothing(lab):
    lab.limit(idle=9, whole=1)
    lab.serve(status_line_only)
    lab.cell()
    lab.check(Status.UNKNOWN, 1, "within 1 s")


def test_11_one_byte_every_fifth_of_a_second(lab):
    lab.limit(idle=9, whole=1)
    lab.serve(trickle_head)
    lab.cell()
    lab.check(Status.UNKNOWN, 1, "within 1 s")
