"""A simulated internet in a network namespace: true names, addresses and ports, and faults where a test wants them.

A scenario in five lines::

    from tests.network import faults, http_faults
    from tests.network.network import Network

    with Network(tmp_path, faults.nxdomain("api.openai.com"), ipv6="dead") as network:
        done = network.run([sys.executable, "-m", "gateway", "doctor", "--json"], env={"OPENAI_API_KEY": "sk-good-1"})
        assert network.rows("api.openai.com") == []

Without faults everything works: the resolver 10.53.0.1 answers truthfully, DNS over HTTPS stands at 1.1.1.1, 8.8.8.8
and 9.9.9.9, the providers answer 401 or (with a key that begins with ``sk-good``) 200, and port 80 tells who looks for
a login page that there is none. Names that do not exist here get NXDOMAIN (`tests.network.truth` lists those that do;
``hosts=[...]`` adds more, a `tests.network.truth.Host` among the faults adds one in every detail), addresses that nobody has swallow every packet.

`tests.network.faults` and `tests.network.http_faults` have one function for each thing that can be wrong; several may
be given, the first that fits a name or an address counts. ``faults.direct(...)`` spares what comes through the company's proxy
(`Network.squid`). `Network.asked` holds what was sent where: packets, ClientHellos, DNS questions, HTTP requests;
`Network.rows` picks from it. A world that stumbles fails the test at the end of the ``with`` block.

How it is made: one mount, process and network namespace for each `Network` (so root is needed); all addresses are
local routes there; packets for others leave by a veth behind which nobody listens. Packet loss, dropped SYNs and MTU
holes are socket filters (Linux, Documentation/networking/filter.rst) on the servers' own sockets: the kernel of the
program under test really retransmits. Nothing of the machine outside is changed, and nothing is left behind: the world
is process 1 of its namespace, and the kernel ends all the others with it (pid_namespaces(7)).
"""
