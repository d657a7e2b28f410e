"""Fills a library with 10,000 documents and a conversation of 5,000 turns.

usage: fill_library.py library.sqlite
"""

import json
import sqlite3
import sys
import time

database = sqlite3.connect(sys.argv[1])
now = int(time.time())
collection = database.execute(
    "INSERT INTO collections (name, created_at) VALUES ('many', ?) RETURNING id", (now,)
).fetchone()[0]
database.executemany(
    "INSERT INTO documents (collection_id, path, title, status, pages, bytes, added_at)"
    " VALUES (?, ?, ?, 'ready', ?, ?, ?)",
    [
        (collection, f"/papers/volume {n // 100}/paper {n}.pdf", f"Paper {n} on a subject of its own", n % 40 + 1, 1000 * n, now)
        for n in range(10_000)
    ],
)
chat = database.execute(
    "INSERT INTO chats (collection_id, title, created_at, updated_at) VALUES (?, 'A long conversation', ?, ?) RETURNING id",
    (collection, now, now),
).fetchone()[0]


def answer(question, text):
    return {
        "id": None, "question": question, "searched_question": None, "method": "none", "model": "small",
        "outcome": "answered", "text": text, "withheld": None,
        "sentences": [{"start": 0, "end": len(text), "support": None}],
        "retrieved": [], "read": [], "used": [], "abstention": None, "search": None,
        "timings": {"queue_ms": 0, "search_ms": 0, "prefill_ms": 1, "first_token_ms": 2, "decode_ms": 3, "total_ms": 4},
        "usage": {"tokens_read": 10, "tokens_written": 20, "bytes_read": 0}, "prompt": question,
    }


for n in range(5_000):
    question = f"Question {n}?"
    turn = database.execute(
        "INSERT INTO turns (chat_id, question, created_at) VALUES (?, ?, ?) RETURNING id", (chat, question, now - 5_000 + n)
    ).fetchone()[0]
    text = f"Answer {n}. " + "It goes on for a while. " * (n % 12)
    database.execute(
        "INSERT INTO answers (chat_id, turn_id, method, model, question, answer, created_at) VALUES (?, ?, 'none', 'small', ?, ?, ?)",
        (chat, turn, question, json.dumps(answer(question, text.strip())), now),
    )
database.commit()
