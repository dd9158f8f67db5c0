"""A page with a picture of each batch and what was seen there. It needs no other file."""

from __future__ import annotations

import base64
import html
from typing import Any, Dict, List, NamedTuple


class Batch(NamedTuple):
    """What is known of a batch of frames."""

    begin: int
    #: The objects of each frame.
    found: List[List[Dict[str, Any]]]
    #: The first frame, a JPEG.
    thumbnail: bytes


STYLE = """body { font: 14px/1.4 sans-serif; margin: 24px; display: flex; flex-wrap: wrap; gap: 16px }
figure { margin: 0; width: 240px } svg { display: block } figcaption { color: #444 }
rect { fill: none; stroke: #fff; stroke-width: 2 } text { fill: #fff; font: bold 11px sans-serif;
       paint-order: stroke; stroke: #000; stroke-width: 3px }"""


def drawn(batch: Batch) -> str:
    """A batch's picture with the boxes over it."""
    picture = base64.b64encode(batch.thumbnail).decode("ascii")
    parts = [f'<image width="240" height="135" href="data:image/jpeg;base64,{picture}"/>']
    for it in batch.found[0]:
        left, top, right, bottom = (edge * size for edge, size in zip(it["box"], (240, 135, 240, 135)))
        parts.append(f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}"/>')
        parts.append(f'<text x="{left + 4:.1f}" y="{top + 13:.1f}">{html.escape(it["is"])} {it["score"]:.2f}</text>')
    seen: Dict[str, int] = {}
    for frame in batch.found:
        for name in sorted({it["is"] for it in frame}):
            seen[name] = seen.get(name, 0) + 1
    said = ", ".join(f"{html.escape(name)} in {count}" for name, count in sorted(seen.items())) or "nothing"
    caption = f"frames {batch.begin} to {batch.begin + len(batch.found) - 1}: {said}"
    picture = f'<svg width="240" height="135" viewBox="0 0 240 135">{"".join(parts)}</svg>'
    return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"


def sheet(batches: List[Batch]) -> str:
    """The page."""
    head = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>What is to be seen</title><style>{STYLE}</style>'
    )
    return "\n".join([head, *map(drawn, batches), "</html>", ""])
