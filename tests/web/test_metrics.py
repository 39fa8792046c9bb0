"""The page that a Prometheus server reads."""

from twisted.trial.unittest import SynchronousTestCase

from difyd.web.metrics import MetricsPage
from difyd.web.routes import Group
from tests.web.cable import Cable, Threads, get, parts, site_of


class MetricsPageTests(SynchronousTestCase):
    def test_page(self) -> None:
        """Made on a thread, in Prometheus' own type, with and without the slash."""
        threads = Threads()
        page = MetricsPage(lambda: b"active_sessions_total 3\n", "text/plain; version=0.0.4", threads.run)
        cable = Cable(site_of(Group(page)))
        for path in ("/metrics/", "/metrics"):
            cable.send(get(path))
            threads.work()
            code, headers, body = parts(cable.read())
            self.assertEqual((code, headers[b"content-type"], body), (200, b"text/plain; version=0.0.4", b"active_sessions_total 3\n"))
