"""Published claims, computed again and compared, and mistakes that circulate, corrected.

    from vgdash import PUBLISHED
    from vgdash.published.records import check
    [outcome for claim in PUBLISHED if not (outcome := check(claim)).agrees]

A new claim is one more record in the module of its subject.
"""

from __future__ import annotations

from vgdash.published.chains import CHAINS
from vgdash.published.frameworks import FRAMEWORKS
from vgdash.published.nets import NETS
from vgdash.published.records import Claim
from vgdash.published.theory import THEORY

SUBJECTS: dict[str, tuple[Claim, ...]] = {
    "Multiplying again and again": CHAINS,
    "Mean-field theory": THEORY,
    "Frameworks and courses": FRAMEWORKS,
    "Nets, measured now": NETS,
}
PUBLISHED: tuple[Claim, ...] = tuple(claim for claims in SUBJECTS.values() for claim in claims)
