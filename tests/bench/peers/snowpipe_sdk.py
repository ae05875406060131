"""Snowflake's own client as a peer of ./dev bench publish: it measures itself and prints one line of JSON.

throughput: appends rows from a file to all channels until the volume is reached, and waits for their commit.
trickle:    appends single rows at random times, and notes when each was appended and when its commit was seen.
"""

import argparse
import json
import os
import pathlib
import random
import threading
import time

import msgspec
from snowflake.ingest.streaming import StreamingIngestClient

CHUNK = 500
# Keeps the client on the calls that a connector uses too; by itself it would write larger amounts as files to a stage.
ROWSET_MODE = {
    "max_buffered_kb_for_rowset_mode": "4000000",
    "max_rowset_payload_size_mb": "16",
    "target_rowset_payload_size_mb": "4",
}


def client(options):
    endpoints = json.loads(pathlib.Path(options.endpoints).read_text())
    properties = {
        "url": endpoints["snowflake_url"],
        "account": endpoints["snowflake_account"],
        "user": endpoints["snowflake_user"],
        "role": endpoints["snowflake_role"],
        "private_key": pathlib.Path(endpoints["snowflake_private_key_file"]).read_text(),
        **ROWSET_MODE,
    }
    name = f"bench-{os.getpid()}"
    return StreamingIngestClient.from_table(
        name, options.database, options.schema, options.table, properties=properties
    )


def chunks(options):
    """Lists of rows as they are handed to the client, with their bytes."""
    lines = pathlib.Path(options.rows).read_bytes().splitlines()
    made = []
    for start in range(0, len(lines) - CHUNK + 1, CHUNK):
        part = lines[start : start + CHUNK]
        rows = [json.loads(line) for line in part] if options.form == "dicts" else [msgspec.Raw(line) for line in part]
        made.append((rows, sum(len(line) + 1 for line in part)))
    return made


def append(channel, rows, start, end):
    """Appends; when the client's buffers are full it says so and the caller has to come again."""
    while True:
        try:
            channel.append_rows(rows, str(start), str(end))
            return
        except Exception as error:  # its error class is not public
            if "Saturated" not in repr(error) and "MemoryThreshold" not in repr(error):
                raise
            time.sleep(0.005)


def throughput(options):
    parts = chunks(options)
    with client(options) as streaming:
        channels = [streaming.open_channel(f"sdk-{os.getpid()}-{n}")[0] for n in range(options.channels)]
        begun, cpu = time.perf_counter(), time.process_time()
        rows, size, turn = 0, 0, 0
        while size < options.megabytes * 1_000_000:
            part, part_size = parts[turn % len(parts)]
            for channel in channels:
                append(channel, part, turn * CHUNK, turn * CHUNK + CHUNK - 1)
                rows += CHUNK
                size += part_size
            turn += 1
        last = str(turn * CHUNK - 1)
        for channel in channels:
            channel.wait_for_commit(lambda latest: latest == last, timeout_seconds=60)
        measured = {
            "records": rows,
            "bytes": size,
            "seconds": time.perf_counter() - begun,
            "cpu_seconds": time.process_time() - cpu,
        }
        for channel in channels:
            channel.close()
    return measured


def trickle(options):
    """Rows go to one channel after the other; row n has the token n."""
    line = pathlib.Path(options.rows).read_bytes().splitlines()[0]
    count = options.channels
    appended, seen = {}, {}
    with client(options) as streaming:
        names = [f"sdk-{os.getpid()}-{n}" for n in range(count)]
        channels = [streaming.open_channel(name)[0] for name in names]
        done = threading.Event()

        def watch():
            following = list(range(count))
            while not done.is_set():
                tokens = streaming.get_latest_committed_offset_tokens(names)
                now = time.time() * 1000
                for index, name in enumerate(names):
                    token = tokens[name]
                    while token and following[index] <= int(token):
                        seen[following[index]] = now
                        following[index] += count
                time.sleep(0.005)

        watcher = threading.Thread(target=watch)
        watcher.start()
        begun = time.monotonic()
        at, number = 0.0, 0
        while True:
            at += random.expovariate(options.per_second)
            if at >= options.seconds:
                break
            time.sleep(max(0.0, begun + at - time.monotonic()))
            appended[number] = time.time() * 1000
            channels[number % count].append_rows([msgspec.Raw(line)], str(number), str(number))
            number += 1
        deadline = time.monotonic() + 30
        while len(seen) < number and time.monotonic() < deadline:
            time.sleep(0.01)
        done.set()
        watcher.join()
        for channel in channels:
            channel.close()
    return [{"number": n, "appended_ms": appended[n], "seen_ms": seen[n]} for n in sorted(seen)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["throughput", "trickle"])
    parser.add_argument("--endpoints", required=True)
    parser.add_argument("--rows", required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--schema", required=True)
    parser.add_argument("--table", required=True)
    parser.add_argument("--form", choices=["dicts", "bytes"], default="bytes")
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--per-second", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    print(json.dumps(throughput(options) if options.what == "throughput" else trickle(options)), flush=True)


main()
