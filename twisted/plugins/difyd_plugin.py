"""Makes `twistd difyd` known. Twisted imports this file for every `twistd` command: it names `difyd.tap` and imports nothing of it."""

from twisted.application.service import ServiceMaker

difyd = ServiceMaker("difyd", "difyd.tap", "The plugin daemon of the Dify platform", "difyd")
