"""Find skips, gates and the next layer in the recorded graph of one forward pass."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import replace

from vgdash.models.records import MATRICES, NAN, Join, Layer
from vgdash.models.torch_graph import PRODUCTS, ROOTS, SUMS

STOPS = {"scaled_dot_product_attention", "softmax", "matmul", "bmm", "einsum"}  # mix data with data
ATTENDS = {"scaled_dot_product_attention", "multi_head_attention_forward", "softmax"}
ADDITIONS = SUMS - {"cat", "concat", "concatenate", "stack"}
BOUNDED = {"sigmoid", "hardsigmoid", "softmax", "tanh"}
NEAR = 32  # operations within which a normalization or an activation written by hand is complete,
FAR = 512  # and those among which they may lie scattered, where branches take turns


class Links:
    """Graph of a forward pass. Sets of nodes are bits of whole numbers.

    ``ancestors``: the nodes that a node depends on. ``reached``: those of them that its gradient reaches.
    ``depth`` and ``fewest``: the most and the fewest matrices on a way to it. ``unread``: what gets a
    gradient only if a loss reads all outputs and the results that nothing reads.
    """

    def __init__(self, nodes, calls):
        self.nodes, self.calls = nodes, {c["node"].index: c for c in calls}
        self.users: list[list] = [[] for _ in nodes]
        self.ancestors, self.reached, self.depth, self.fewest = ([0] * len(nodes) for _ in range(4))
        for node in nodes:
            i, parents = node.index, {p.index: p for p in node.parents if p.data}
            for p in parents.values():
                self.users[p.index].append(node)
                self.ancestors[i] |= self.ancestors[p.index] | 1 << p.index
                self.reached[i] |= (self.reached[p.index] | 1 << p.index) if p.requires else 0
            carrying, own = self._carrying(node), i in self.calls and node.kind in MATRICES
            self.depth[i] = max([self.depth[p.index] for p in carrying], default=0) + own
            self.fewest[i] = min([self.fewest[p.index] for p in carrying], default=0) + own
        self.sums = [n for n in nodes if n.kind == "join"]
        self.gates = [n for n in nodes
                      if n.op in PRODUCTS and len({p.index for p in n.parents if p.data}) > 1]
        self.inputs = [n for n in nodes if n.op == "input"]
        self.matrices = self.before_matrices = 0
        for i, c in self.calls.items():
            if c["kind"] in MATRICES:
                self.matrices |= 1 << i
                self.before_matrices |= self.ancestors[i]
        self.attention = sum(1 << n.index for n in nodes if n.op in ATTENDS)
        self.unread = 0
        self.residual: dict[int, tuple] = {}
        for n in self.sums:
            if found := self._residual(n):
                self.residual[n.index] = found

    def with_ancestors(self, node) -> int:
        return self.ancestors[node.index] | 1 << node.index

    def leave_unread(self, returned: Container[int]) -> None:
        """Note what leads to outputs, or to results that nothing reads, not even as a Python number."""
        for node in self.nodes:
            if node.requires and (node.index in returned or not (self.users[node.index] or node.left_graph)):
                self.unread |= self.reached[node.index] | 1 << node.index

    def reads_input(self, node) -> bool:
        return node.data and not self.ancestors[node.index] & self.matrices

    def source(self, node, in2: float) -> str:
        """Name the one input that a node reads as it is given; "" if it reads more, or another tensor."""
        read = [n for n in self.inputs if self.ancestors[node.index] >> n.index & 1]
        return read[0].path if len(read) == 1 and abs(read[0].square - in2) <= 1e-3 * in2 else ""

    def is_last(self, node) -> bool:
        return not self.before_matrices >> node.index & 1

    def bypassed(self, node) -> bool:
        """Test if a way with fewer layers leads around the node from the same data to a sum."""
        return any(self._around(node, self.sums))

    def gated(self, node) -> bool:
        """Test if all that a node does is to open a gate, by a function with bounds."""
        return any(len(through) == 1 and self._is_bounded(through[0]) and self._all_through(node, through[0])
                   for through in self._around(node, self.gates))

    def _around(self, node, ends) -> Iterator[list]:
        """Yield the parents, above the node, of each end to which a way with fewer layers leads, too."""
        i = node.index
        for n in ends:
            if not self.ancestors[n.index] >> i & 1:
                continue
            through = [p for p in n.parents if p.index == i or self.ancestors[p.index] >> i & 1]
            fewest = max(self.fewest[p.index] for p in through)
            if any(p.data and p not in through and self.fewest[p.index] < fewest
                   and (self.ancestors[p.index] | 1 << p.index) & self.ancestors[i] for p in n.parents):
                yield through

    def _carrying(self, node) -> list:
        """List the parents whose data a node passes on: of a product not those that only open a gate."""
        parents = list({p.index: p for p in node.parents if p.data}.values())
        gated = node.op in PRODUCTS and len(parents) > 1
        return [p for p in parents if not (gated and self._is_bounded(p))] or parents

    def _is_bounded(self, node) -> bool:
        """Test if a node comes from a function with bounds, with no layer and no other data between."""
        while node.op not in BOUNDED:
            data = {p.index: p for p in node.parents if p.data}
            if len(data) != 1 or node.index in self.calls:
                return False
            node, = data.values()
        return True

    def _all_through(self, node, gate) -> bool:
        """Test if all that depends on a node does so through the gate."""
        before, i, g = self.ancestors[gate.index] | 1 << gate.index, node.index, gate.index
        return all(before >> m.index & 1 or self.ancestors[m.index] >> g & 1
                   for m in self.nodes[i + 1:] if self.ancestors[m.index] >> i & 1)

    def follow(self, node) -> dict:
        """Go on to the next layer while nothing joins or parts: activation, normalization, and that layer."""
        found = {"norm": False, "passed": False}
        while True:
            users = self.users[node.index]
            if not users:
                return {**found, "end": node}
            user = users[0] if len(users) == 1 else self._meeting_point(node, users, found)
            own = user is not None and len(users) > 1 and all(  # such as x - mean(x)
                (self.ancestors[p.index] | 1 << p.index) >> node.index & 1 for p in user.parents if p.data)
            if user is None or (user.kind == "join" and not own):
                return {**found, "join": user} if user else found
            call = self.calls.get(user.index)
            if call is not None and call["kind"] in MATRICES:
                return {**found, "call": call}
            found["passed"] |= call is not None and bool(call["own"]) and "act" not in found
            if (len({p.index for p in user.parents if p.data}) > 1 and len(users) == 1) or user.op in STOPS:
                return found
            if user.kind == "norm":
                found["norm"] |= self._divides(user)
            if user.act and "act" not in found:
                found["act"] = {**user.act, "after": user.after, "square": user.square}
            node = user

    def _meeting_point(self, node, users, found):
        """Find where the ways of one tensor meet again soon: x·sigmoid(x), or x divided by its own size."""
        i, below = node.index, 0
        for n in self.nodes[i + 1:i + 1 + FAR]:
            if not self.ancestors[n.index] >> i & 1:
                continue
            below |= 1 << n.index
            above = self.with_ancestors(n)
            if below.bit_count() > NEAR or self.matrices & above & below:
                return None
            if all(above >> u.index & 1 for u in users) and len({p.index for p in n.parents if p.data}) > 1:
                found["norm"] |= self._divides(n)
                return n
        return None

    def _divides(self, node) -> bool:
        """Test if a node divides by its input's own size: a normalization, or x · rsqrt(mean(x²)) by hand."""
        if node.kind == "norm":
            call = self.calls.get(node.index)
            return call is None or call["divides"]
        data = {p.index for p in node.parents if p.data}
        return node.op in PRODUCTS and len(data) > 1 and any(
            m.op in ROOTS and self.ancestors[node.index] >> m.index & 1
            and self.depth[m.index] == self.depth[node.index]
            for m in self.nodes[max(node.index - FAR, 0):node.index])

    def _is_unnormalized(self, skip, branch) -> bool:
        """Test if a way leads from the skip to the branch's end without a normalization."""
        waiting, seen = [branch], set()
        while waiting:
            node = waiting.pop()
            if node is skip:
                return True
            below = self.ancestors[node.index] >> skip.index & 1
            if node.index not in seen and below and not self._divides(node):
                waiting += [p for p in node.parents if p.data]
            seen.add(node.index)
        return False

    def _residual(self, n):
        """Describe a sum: skip, the branch's last layers, if it is open, if it attends; or return None."""
        parents = {p.index: p for p in n.parents if p.data}
        if len(parents) != 2 or n.op not in ADDITIONS:
            return None
        skip, branch = sorted(parents.values(),
                              key=lambda p: (self.depth[p.index], p.index not in self.residual))
        shared = self.with_ancestors(skip) & self.with_ancestors(branch)
        alike = self.depth[skip.index] == self.depth[branch.index]
        if (alike and skip.index not in self.residual) or not shared:
            return None
        start = skip
        while start.index in self.residual and not self.ancestors[branch.index] >> start.index & 1:
            start = self.residual[start.index][0]  # of the second branch in x + f(x) + g(x): x
        own = self.with_ancestors(branch) & ~self.ancestors[skip.index]
        return (skip, self._last_layers(skip, branch), self._is_unnormalized(start, branch),
                bool(own & self.attention))

    def _last_layers(self, skip, branch) -> list[int]:
        """List the last layers of the longest ways to a branch's end, without those that only open a gate."""
        waiting, seen, last = [branch], self.ancestors[skip.index], []
        while waiting:
            node = waiting.pop()
            i, seen = node.index, seen | 1 << node.index
            if self.matrices >> i & 1:
                last += [i] if self.depth[i] == self.depth[branch.index] else []
            else:
                waiting += [p for p in self._carrying(node) if not seen >> p.index & 1]
        return sorted({*last})

    def before(self, skip) -> int:
        """Return the index of the sum that a skip comes from with no normalization between, or -1."""
        while skip.index not in self.residual:
            parents = sorted(self._carrying(skip), key=lambda p: self.depth[p.index])
            call = self.calls.get(skip.index)
            if not parents or (len(parents) > 1 and skip.op not in ADDITIONS) or (
                    call is not None and call.get("divides", call["kind"] in MATRICES)):
                return -1
            skip = parents[0]
        return skip.index


def linked(calls, layers: list[Layer], links: Links) -> tuple[list[Layer], list[Join]]:
    """Number the links between the calls of layers, and describe the sums of skips and branches."""
    kept = [i for i, c in enumerate(calls) if c["kind"] in MATRICES or c["own"]]
    place = {calls[i]["node"].index: k for k, i in enumerate(kept)}
    found = []
    for i in kept:
        following = links.follow(calls[i]["node"]).get("call")
        found.append(replace(layers[i], next=place.get(following["node"].index, -1) if following else -1))
    streams: list[dict[int, Join]] = []  # sums within a branch are a stream of their own
    for i, (skip, last, is_open, attends) in links.residual.items():
        n = links.nodes[i]
        before, ends = links.before(skip), tuple(place[k] for k in last)
        stream = next((s for s in streams if next(reversed(s)) == before), {})
        streams += [] if stream else [stream]
        stream[i] = Join(n.path, skip.square, n.square, ends, bool(stream), not is_open,
                         n.after.get("square", NAN), attends)
    return found, [join for stream in streams for join in stream.values()]
