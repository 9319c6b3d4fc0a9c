"""What ./dev tells people: plain lines, one thing each."""


class Failure(Exception):
    """Something ./dev cannot go on from; its text is for people."""


def say(text: str) -> None:
    print(f"dev: {text}", flush=True)


def table(header: "list[str]", rows: "list[list[str]]") -> str:
    """Columns as wide as they need to be."""
    widths = [max(len(row[column]) for row in [header] + rows) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [header] + rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
