"""Snowflake's own client against the local Snowflake: what it does is checked here, what is stored by the caller."""

import json
import pathlib
import sys
import time

from snowflake.ingest.streaming import StreamingIngestClient

ENDPOINTS = json.loads(pathlib.Path(sys.argv[1]).read_text())
WAIT = 30


def client(table, name):
    properties = {
        "url": ENDPOINTS["snowflake_url"],
        "account": ENDPOINTS["snowflake_account"],
        "user": ENDPOINTS["snowflake_user"],
        "role": ENDPOINTS["snowflake_role"],
        "private_key": pathlib.Path(ENDPOINTS["snowflake_private_key_file"]).read_text(),
    }
    return StreamingIngestClient.from_table(name, "SDK", "PUBLIC", table, properties=properties)


def committed(channel, token):
    channel.wait_for_commit(lambda latest: latest == token, timeout_seconds=WAIT)
    return channel.get_channel_status()


def same(found, expected, what):
    if found != expected:
        sys.exit(f"{what}: {found!r} instead of {expected!r}")


def login_append_commit():
    with client("T", "first") as first:
        channel, status = first.open_channel("one")
        same(status.latest_committed_offset_token, None, "a new channel has no token")
        for row in range(10):
            channel.append_row({"ID": row, "NAME": f"row {row}"}, str(row))
        status = committed(channel, "9")
        same((status.status_code, status.rows_inserted_count), ("SUCCESS", 10), "ten rows")
        channel.close()


def reopen():
    with client("T", "second") as second:
        channel, status = second.open_channel("one")
        same(status.latest_committed_offset_token, "9", "the token outlives its client")
        rows = [{"ID": row, "NAME": "a batch"} for row in range(10, 20)]
        channel.append_rows(rows, "10", "19")
        same(committed(channel, "19").rows_inserted_count, 20, "a batch")
        channel.close()


def several_channels():
    with client("T", "third") as third:
        names = [f"many-{number}" for number in range(4)]
        channels = {name: third.open_channel(name)[0] for name in names}
        for row in range(50):
            for name, channel in channels.items():
                channel.append_row({"ID": 1000 + row, "NAME": name}, str(row))
        for channel in channels.values():
            committed(channel, "49")
        same(third.get_latest_committed_offset_tokens(names), {name: "49" for name in names}, "tokens")
        channels[names[0]].close()
        third.drop_channel(names[0])
        _, status = third.open_channel(names[0])
        same(status.latest_committed_offset_token, None, "a dropped channel begins anew")


def invalid_rows():
    with client("BAD", "fourth") as fourth:
        channel, _ = fourth.open_channel("bad")
        channel.append_row({"ID": 1, "NAME": "good"}, "1")
        channel.append_row({"ID": "no number", "NAME": "bad"}, "2")
        channel.append_row({"NAME": "lacks ID"}, "3")
        channel.append_row({"ID": 4}, "4")
        status = committed(channel, "4")
        same((status.rows_inserted_count, status.rows_error_count), (2, 2), "two of four")
        if not status.last_error_message:
            sys.exit("the last error has no text")


def elastic():
    with client("E", "fifth") as fifth:
        channel = fifth.get_elastic_channel()
        acknowledged = [channel.append_rows_with_wait([{"ID": row}], f"token {row}") for row in range(20)]
        channel.initiate_flush()
        for future in acknowledged:
            future.result(timeout=WAIT)


def files():
    """Above about one megabyte the client sends encrypted files instead of rows."""
    with client("T", "sixth") as sixth:
        channel, _ = sixth.open_channel("large")
        rows = [{"ID": 5000 + row, "NAME": "x" * 4000} for row in range(1000)]
        channel.append_rows(rows, "0", "999")
        same(committed(channel, "999").rows_inserted_count, 1000, "large rows")


for step in (login_append_commit, reopen, several_channels, invalid_rows, elastic, files):
    began = time.monotonic()
    step()
    print(f"referee: {step.__name__} {time.monotonic() - began:.1f} s", flush=True)
