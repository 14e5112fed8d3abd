"""Client's script for Chroma: collections, vectors and filters through `chromadb.HttpClient`. Prints a JSON line a step.

Runs in the product's own environment: `chromadb_client.py URL KEY_HEADER KEY NAME`.
"""

import json
import math
import sys
from urllib.parse import urlsplit

import chromadb
from chromadb.config import Settings

URL, HEADER, KEY, NAME = sys.argv[1:5]
PARTS = urlsplit(URL)
DIMENSIONS = 384
RECORDS = 300


def say(step, value):
    print(json.dumps({"step": step, "value": value}, sort_keys=True), flush=True)


def vector(seed):
    return [round(math.sin(seed * 13.7 + at), 6) for at in range(DIMENSIONS)]


client = chromadb.HttpClient(
    host=PARTS.hostname,
    port=PARTS.port,
    ssl=PARTS.scheme == "https",
    headers={HEADER: KEY} if KEY else {},
    settings=Settings(anonymized_telemetry=False, chroma_server_ssl_verify=False),
)
say("heartbeat", client.heartbeat() > 0)
say("version", client.get_version())

for collection in client.list_collections():
    if collection.name.startswith(NAME):
        client.delete_collection(collection.name)

docs = client.create_collection(
    f"{NAME}-docs",
    metadata={"owner": "search team", "draft": False, "weight": 2, "ratio": 0.5},
    configuration={"hnsw": {"space": "cosine", "ef_construction": 100}},
    embedding_function=None,
)
say("created", docs.metadata)
TEXTS = [
    "How do I SELECT rows from one table that are not in another? Use `NOT EXISTS (SELECT 1 FROM b WHERE b.id = a.id)`.",
    "Run `rm -rf build && make` if the cache is stale; see ../docs/build.md for why.",
    "```python\nimport os\nprint(os.environ['HOME'])\n```",
    "It's 5 o'clock; the users' table (and O'Brien's) isn't ready -- drop me a line.",
    "<b>Note</b>: templates look like {{ user.name }} and ${HOME}.",
    "Zażółć gęślą jaźń. 日本語のテキスト。",
]
ids = [f"doc-{number:04d}" for number in range(RECORDS)]
docs.add(
    ids=ids,
    embeddings=[vector(number) for number in range(RECORDS)],
    documents=[f"{TEXTS[number % len(TEXTS)]} ({number})" for number in range(RECORDS)],
    metadatas=[
        {"page": number, "lang": "en" if number % 3 else "pl", "score": number / 10, "public": number % 2 == 0}
        for number in range(RECORDS)
    ],
)
say("count", docs.count())
say("get", docs.get(ids=ids[:3], include=["documents", "metadatas"]))
say("peek", len(docs.peek(5)["ids"]))
FILTERS = [
    {"lang": "pl"},
    {"lang": {"$eq": "pl"}},
    {"page": {"$gt": 290}},
    {"page": {"$gte": 290}},
    {"page": {"$lt": 5}},
    {"page": {"$lte": 5}},
    {"lang": {"$ne": "en"}},
    {"lang": {"$in": ["pl", "de"]}},
    {"lang": {"$nin": ["pl"]}},
    {"$and": [{"page": {"$gt": 10}}, {"page": {"$lt": 14}}]},
    {"$or": [{"page": {"$lt": 2}}, {"$and": [{"public": True}, {"score": {"$gte": 29.5}}]}]},
]
for number, where in enumerate(FILTERS):
    say(f"where {number}", sorted(docs.get(where=where, include=["metadatas"])["ids"])[:8])
for number, where in enumerate(
    [{"$contains": "SELECT"}, {"$not_contains": "SELECT"}, {"$and": [{"$contains": "rm -rf"}, {"$contains": "(1)"}]},
     {"$regex": "O'Brien.*\\(3\\)"}]
):  # fmt: skip
    say(f"where_document {number}", sorted(docs.get(where_document=where, include=["documents"])["ids"])[:8])
found = docs.query(
    query_embeddings=[vector(7), vector(11)],
    n_results=3,
    where={"page": {"$gt": 2}},
    include=["metadatas", "distances"],
)
say("query", found["ids"])
said = {"$contains": "table"}
say("query documents", docs.query(query_embeddings=[vector(3)], n_results=2, where_document=said)["ids"])
docs.update(
    ids=ids[:2],
    embeddings=[vector(1), vector(2)],
    metadatas=[{"page": 1000}, {"page": 1001, "lang": "de"}],
    documents=["first", "second; -- ok"],
)
say("updated", docs.get(ids=ids[:2], include=["documents", "metadatas"]))
docs.upsert(ids=["doc-0000", "extra"], embeddings=[vector(1), vector(2)], documents=["y", "x"])
say("upserted", docs.count())
docs.delete(ids=["extra"])
docs.delete(where={"$and": [{"page": {"$gte": 100}}, {"lang": {"$ne": "de"}}]})
say("left", docs.count())
docs.modify(name=f"{NAME}-renamed", metadata={"note": "it's renamed"})
say("renamed", client.get_collection(f"{NAME}-renamed", embedding_function=None).metadata)
client.get_or_create_collection(f"{NAME}-other", embedding_function=None)
say("names", sorted(one.name for one in client.list_collections() if one.name.startswith(NAME)))
say("counted", client.count_collections() >= 2)
try:
    client.get_collection(f"{NAME}-missing")
except Exception as error:
    say("missing", type(error).__name__)
client.delete_collection(f"{NAME}-renamed")
client.delete_collection(f"{NAME}-other")
say("deleted", [one.name for one in client.list_collections() if one.name.startswith(NAME)])
