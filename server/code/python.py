# Python 3, nothing to install. Put your access key into the environment first: export KEY=…
import json
import os
import urllib.request

# Without from it is all that is kept.
request = urllib.request.Request(
    "{{ADDRESS}}/api/history/export?{{QUERY}}&format=jsonl&{{TIME}}",
    headers={"Authorization": "Bearer " + os.environ["KEY"]},
)
with urllib.request.urlopen(request, timeout=30) as answer:
    for line in answer:  # one for each value
        one = json.loads(line)
        if "error" in one:
            raise SystemExit(one["error"])
        print(one["time"], one["value"])
