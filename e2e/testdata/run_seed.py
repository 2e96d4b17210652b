"""Runs seed.py, the documented sample, letter by letter, supplying only what the page leaves out or what differs here:
the key, host and port, no TLS on loopback, and the claims request that the sample calls but does not show.

usage: TRELLIS_KEY=… run_seed.py HOST PORT CLAIMS-URL websockets|tcp
"""
import json
import os
import pathlib
import sys
import types
import urllib.request

import paho.mqtt.client as mqtt

host, port, claims, transport = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]

mqtt.Client.tls_set = lambda self, **rest: None
if transport == "tcp":
    made = mqtt.Client.__init__
    mqtt.Client.__init__ = lambda self, client_id, transport: made(self, client_id=client_id, transport="tcp")

text = pathlib.Path(__file__).with_name("seed.py").read_text(encoding="utf-8")
text = text.replace('"your_tendrl_api_key"', repr(os.environ["TRELLIS_KEY"]))
seed = types.ModuleType("seed")
exec(compile(text, "seed.py", "exec"), seed.__dict__)


class Here(seed.TendrlWebSocketMQTTClient):
    def _fetch_entity_info(self, api_key):
        request = urllib.request.Request(claims, headers={"Authorization": "Bearer " + api_key})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def connect(self):
        self.mqtt_host, self.mqtt_port = host, port
        super().connect()


seed.TendrlWebSocketMQTTClient = Here
seed.main()
