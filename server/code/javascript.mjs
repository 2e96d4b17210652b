// Node 18 or newer, saved as read.mjs. Put your access key into the environment first: export KEY=…
// Without from it is all that is kept.
const answer = await fetch("{{ADDRESS}}/api/history/export?{{QUERY}}&format=jsonl&{{TIME}}", {
  headers: { Authorization: `Bearer ${process.env.KEY}` },
});
if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);

// A line for each value.
for (const line of (await answer.text()).split("\n").filter(Boolean)) {
  const { time, value, error } = JSON.parse(line);
  if (error) throw new Error(error);
  console.log(time, value);
}
