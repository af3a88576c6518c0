"""What is read of a plain pg_dump file: definitions of columns with their types, and the rows of COPY."""
import re

ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
NAME = r'(?:"(?:[^"]|"")*"|[a-z_][a-z0-9_$]*)'
QUALIFIED = rf"{NAME}\.{NAME}"
COLUMN = re.compile(rf"^\s+({NAME}) ((?:\"[^\"]*\"|[^ ,\"(]+)+(?:\([^)]*\))?(?: with(?:out)? time zone| precision)?(?:\[\])*)")
TYPE = re.compile(r"airlock\.encrypted(_eq)?\((\d+)\)((?:\[\])*)$")


class Dump:
    def __init__(self, path):
        self.columns = {}     # table or composite type → {column: type}
        self.parents = {}     # table → parents, whose columns it has
        self.domains = {}     # domain → type
        self.data = []        # table, columns, rows
        with open(path, encoding="utf-8", newline="\n") as file:
            lines = iter(file.read().split("\n"))
        for line in lines:
            if found := re.match(rf"CREATE (?:UNLOGGED |FOREIGN )?(?:TABLE|TYPE) ({QUALIFIED}) (?:AS )?\($", line):
                self.definition(found[1], lines)
            elif found := re.match(rf"CREATE DOMAIN ({QUALIFIED}) AS (\S+?(?:\(\d+\))?(?:\[\])*)(?: |;|$)", line):
                self.domains[found[1]] = found[2]
            elif found := re.match(rf"COPY ({QUALIFIED}) \((.*)\) FROM stdin;$", line):
                self.data.append((found[1], re.findall(NAME, found[2]), self.rows(lines)))

    def definition(self, name, lines):
        columns = self.columns.setdefault(name, {})
        for line in lines:
            if line.startswith(")"):
                break
            if found := COLUMN.match(line):
                columns[found[1]] = found[2].rstrip(",")
        else:
            return
        while not line.endswith(";"):
            if found := re.match(r"\)? ?INHERITS \((.*)\)", line):
                break
            line = next(lines)
        if found := re.match(r"\)? ?INHERITS \((.*)\)", line):
            self.parents[name] = re.findall(QUALIFIED, found[1])

    @staticmethod
    def rows(lines):
        rows = []
        for line in lines:
            if line == "\\.":
                break
            rows.append([None if field == "\\N" else unescape(field) for field in line.split("\t")])
        return rows

    def type_of(self, table, column):
        own = self.columns.get(table, {}).get(column)
        if own is not None:
            return own
        inherited = (self.type_of(parent, column) for parent in self.parents.get(table, []))
        return next((ty for ty in inherited if ty is not None), None)

    def values(self, ty, text):
        """The encrypted values in a field of this type: column number, searchable, their text."""
        if text is None or ty is None:
            return
        if found := TYPE.match(ty):
            parts = elements(text, "{", "}") if found[3] else [text]
            yield from ((int(found[2]), bool(found[1]), part) for part in parts if part is not None)
        elif ty.endswith("[]"):
            for part in elements(text, "{", "}"):
                yield from self.values(ty[:-2], part)
        elif ty in self.domains:
            yield from self.values(self.domains[ty], text)
        elif ty in self.columns:
            for column, part in zip(self.columns[ty].values(), elements(text, "(", ")")):
                yield from self.values(column, part)

    def table(self, name):
        """The rows of a table as dictionaries."""
        return [dict(zip(columns, row)) for table, columns, rows in self.data if table == name for row in rows]


def unescape(field):
    return re.sub(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", escaped, field)


def escaped(match):
    e = match[1]
    if e[0] == "x" and len(e) > 1:
        return chr(int(e[1:], 16))
    return chr(int(e, 8)) if e[0] in "01234567" else ESCAPES.get(e, e)


def elements(text, left, right):
    """The elements of an array, or the fields of a record, in PostgreSQL's text form."""
    if not (text.startswith(left) and text.endswith(right)):
        raise ValueError("not an array or record")
    found, current, quoted, was_quoted, i, body = [], "", False, False, 0, text[1:-1]
    if left == "{" and body == "":
        return []
    while i <= len(body):
        c = body[i] if i < len(body) else None
        if c is None or c == "," and not quoted:
            null = not was_quoted and (current == "NULL" if left == "{" else current == "")
            found.append(None if null else current)
            current, was_quoted = "", False
        elif c == "\\":
            i += 1
            current += body[i]
        elif c == '"' and quoted and left == "(" and body[i + 1:i + 2] == '"':
            i += 1
            current += '"'
        elif c == '"':
            quoted, was_quoted = not quoted, True
        elif c in "{}" and not quoted and left == "{":
            pass  # arrays of several dimensions: their elements in order
        else:
            current += c
        i += 1
    return found
