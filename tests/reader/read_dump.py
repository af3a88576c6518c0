#!/usr/bin/env python3
"""Opens every value of every encrypted column in a plain pg_dump file, with the root key and without PostgreSQL.

    read_dump.py ROOT_KEY_FILE DUMP

prints a JSON object a line: table, column, number of the row in the dump, ciphertext, value as text. It checks on the
way what a reader can check: the root key's check value, the MACs of columns and grants, commitments, padding, the
canonical form of each value, match tags. Anything that is not as docs/format.md says ends it with status 1.
"""
import json
import sys
import uuid

import airlock_format as fmt
from airlock_format import Refused
from plain_dump import Dump
from values import CODES, VARIABLE, decode


def bytea(text):
    return None if text is None else bytes.fromhex(text.removeprefix("\\x"))


class Catalog:
    """The keys and columns that a dump describes."""

    def __init__(self, dump, root):
        def rows(table):
            return dump.table(f"airlock_catalog.{table}")

        self.root = root
        mine = fmt.check_value(root)
        generations = [r for r in rows("root_key") if bytea(r["check_value"]) == mine]
        if not generations:
            raise Refused("this is not the root key of this dump")
        self.keys = {int(r["key_no"]): r for r in rows("key")}
        self.versions = {int(r["version_id"]): r for r in rows("key_version")}
        self.columns = {int(r["column_no"]): r for r in rows("encrypted_column")}
        self.secrets = {}
        for number, column in self.columns.items():
            key = self.keys[int(column["key_no"])]
            want = self.mac(b"column", fmt.u32(number), uuid.UUID(column["uuid"]).bytes, uuid.UUID(key["uuid"]).bytes)
            if want != bytea(column["mac"]):
                raise Refused(f"the MAC of column {number} is not right")
        for grant in rows("key_grant"):
            key = uuid.UUID(self.keys[int(grant["key_no"])]["uuid"]).bytes
            role = grant["role"].strip('"').replace('""', '"')
            if self.mac(b"grant", key, role.encode(), grant["access"].encode()) != bytea(grant["mac"]):
                raise Refused(f"the MAC of a grant to {role} is not right")

    def mac(self, label, *parts):
        return fmt.catalog_mac(self.root, label, *parts)

    def secret(self, row):
        """Unwraps a version once."""
        number = int(row["version_id"])
        if number not in self.secrets:
            self.secrets[number] = fmt.unwrap(
                self.root, bytea(row["wrapped"]), row["use"], uuid.UUID(row["owner"]).bytes, int(row["version"]),
                int(row["root_generation"]), bytea(row["commitment"]))
        return self.secrets[number]

    def open(self, number, searchable, text, bound=None):
        """The value as text."""
        column = self.columns[number]
        key = self.keys[int(column["key_no"])]
        value = fmt.Value(text)
        version = self.versions.get(value.version_id)
        if version is None or version["use"] != "seal" or version["owner"] != key["uuid"]:
            raise Refused("sealed under another key")
        name, pad = key["plaintext_type"], int(key["pad"])
        plain, padded = value.open(self.secret(version), uuid.UUID(column["uuid"]).bytes, CODES[name], bound)
        if (padded is not None) != (name in VARIABLE and pad > 0):
            raise Refused("padded, or not, against its key")
        if padded is not None and (padded % pad or padded - len(plain) > pad):
            raise Refused("padded to another length than its key says")
        shown, canonical = decode(name, plain)
        if bool(value.tag) != searchable:
            raise Refused("of the other encrypted type")
        if searchable:
            matches = [v for v in self.versions.values()
                       if v["owner"] == key["uuid"] and v["use"] == "match" and v["state"] != "destroyed"]
            tags = [fmt.match_tag(self.secret(v), CODES[name], canonical, len(value.tag)) for v in matches]
            if value.tag not in tags:
                raise Refused("its match tag is not that of the value")
        return shown


def main(root_key_file, dump_file):
    with open(root_key_file, "rb") as file:
        root = fmt.root_key(file.read())
    dump = Dump(dump_file)
    catalog = Catalog(dump, root)
    for table, columns, rows in dump.data:
        types = [dump.type_of(table, column) for column in columns]
        for number, row in enumerate(rows):
            for column, ty, field in zip(columns, types, row):
                for column_no, searchable, text in dump.values(ty, field):
                    where = {"table": table, "column": column, "row": number}
                    try:
                        shown = catalog.open(column_no, searchable, text)
                    except Refused as refused:
                        sys.exit(f"{where}: {refused}")
                    print(json.dumps({**where, "ciphertext": text, "value": shown}))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except Refused as refused:
        sys.exit(str(refused))
