"""Studios on a store of the test's own, whose servers are on loopback and cost money."""

from ipyimagegen import Settings, Studio


def make_studio(home, server=None, *, paid=True, others=(), environ=None, **settings):
    """Return a studio with a server, or its address, as the endpoint `lab`; `others` are lab2, lab3 …"""
    servers = [server, *others] if server else []
    names = ["lab", *(f"lab{number}" for number in range(2, len(servers) + 1))]
    own = {
        name: {"base_url": getattr(server, "base_url", server), "free": not paid}
        for name, server in zip(names, servers, strict=False)
    }
    options = {"endpoint": "lab"} if server else {}
    settings = Settings(endpoints=own, options=options, **settings)
    return Studio(home=home, environ=environ or {}, settings=settings)
