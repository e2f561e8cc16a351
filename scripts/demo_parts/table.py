"""The result of a run as text, at most 100 columns wide."""

import textwrap

WIDTHS = (31, 32, 32)
GAP = "  "


def render(report):
    system = report["system"]
    heads = ("case", f"Qt {system['qt']}", f"Qt {system['qt']} with qshm")
    lines = [
        "",
        f"Linux {system['linux']}, fs.protected_regular = {system['protected_regular']}",
        "",
        *row([[head] for head in heads]),
        GAP.join("-" * width for width in WIDTHS),
    ]
    for case in report["cases"]:
        title = textwrap.wrap(case["title"], WIDTHS[0] - 3, initial_indent=f"{case['name']}  ",
                              subsequent_indent="   ")
        lines += row([title, cell(case["qt"]), cell(case["qshm"])])
        lines.append("")
    return "\n".join(lines)


def cell(outcome):
    lines = ["WORKS" if outcome["good"] else "FAILS"]
    for line in outcome["lines"]:
        lines += textwrap.wrap(line, max(WIDTHS), subsequent_indent="  ")
    return lines


def row(cells):
    height = max(len(lines) for lines in cells)
    padded = [lines + [""] * (height - len(lines)) for lines in cells]
    return [GAP.join(text.ljust(width) for text, width in zip(texts, WIDTHS)).rstrip()
            for texts in zip(*padded)]
