"""Random models: graphs of layers that grow from random inputs."""

import keras
from keras import layers as L

from layers import cell, dense, held, layer

# No tensor has more elements of an example: the models are small, so that many are tried.
MAX_ELEMENTS = 150
EMBEDDED = 6  # tokens
# Never as many as a batch has examples: where Keras broadcasts an array of examples along steps, as
# the Softmax layer does a mask, it then fails, and another model is drawn.
STEPS = (4, 6)


class Growing:
    """A graph that grows. `tensors` are all that were made, `used` those that a layer took."""

    def __init__(self, d, batch_size=None):
        self.d = d
        self.batch_size = batch_size
        self.inputs = []
        self.tensors = []
        self.used = set()
        self.fed = {}  # of a tensor, by id, the inputs that it depends on
        self.calls = []  # (layer, shape that it was applied to, how many tensors)

    def shape(self, tensor):
        return tuple(tensor.shape[1:])

    def feed(self):
        """An input, of floats or of tokens, which an Embedding looks up."""
        d = self.d
        kind = d.weighted([(3, "tokens"), (4, 2), (1, 1), (1, 3), (1, 4), (0.5, 5)])
        if kind == "tokens":
            x = self.input((d.whole(*STEPS),), dtype="int32")
            given = {**d.some(0.75, mask_zero=[True]), **held(d, "embeddings")}
            made = self.apply(L.Embedding(EMBEDDED, d.whole(1, 4), **given), x)
        else:
            extents = [d.whole(*STEPS), *(d.whole(2, 3) for _ in range(kind - 2)), d.whole(1, 4)]
            x = self.input(extents[-kind:])
            self.tensors.append(x)
            made = x
            if kind == 2 and d.chance(0.4):
                made = self.apply(L.Masking(d.pick([0.0, 0.0, 1.0])), x)
        return made

    def input(self, shape, **given):
        x = keras.Input(batch_shape=(self.batch_size, *shape), **given)
        self.fed[id(x)] = {len(self.inputs)}
        self.inputs.append(x)
        return x

    def apply(self, layer, *inputs, **more):
        """The first of what a layer makes of tensors; all that it makes join the graph."""
        one = list(inputs) if len(inputs) > 1 else inputs[0]
        separate = isinstance(layer, L.MultiHeadAttention)
        made = layer(*inputs, **more) if separate else layer(one, **more)
        made = list(made) if isinstance(made, (list, tuple)) else [made]
        for tensor in made:
            shape = self.shape(tensor)
            elements = 1
            for extent in shape:
                elements *= extent
            if not 0 < elements <= MAX_ELEMENTS or len(shape) > 5:
                raise ValueError("too large")
        taken = [id(tensor) for tensor in (*inputs, *more.get("initial_state", []))]
        self.used.update(taken)
        fed = set().union(*(self.fed[tensor] for tensor in taken))
        self.fed |= {id(tensor): fed for tensor in made}
        self.calls.append((layer, self.shape(inputs[0]), len(inputs)))
        self.tensors += made
        return made[0]

    def grow(self, source):
        """Applies something to a tensor."""
        ways = [(8, self.one), (1, self.residual), (1, self.states), (0.7, self.again)]
        ways += [(0.7, self.nested), (1, self.merge), (0.7, self.attention)]
        way = self.d.weighted(ways)
        for _ in range(20):
            try:
                made = way(source)
            except (ValueError, ZeroDivisionError):
                # The layer does not fit the shape, as Keras says.
                made = None
            if made is not None:
                return made
            way = self.one
        return source

    def one(self, source):
        made = layer(self.d, self.shape(source))
        return None if made is None else self.apply(made, source)

    def residual(self, source):
        """x + f(x), or the like, where f keeps the shape."""
        other = self.one(source)
        if other is None or self.shape(other) != self.shape(source):
            return other
        merging = self.d.pick([L.Add, L.Multiply, L.Average, L.Subtract, L.Concatenate])
        return self.apply(merging(), source, other)

    def merge(self, source):
        """The source and other tensors of its shape, or of one that differs in an axis."""
        d, shape = self.d, self.shape(source)
        others = [t for t in self.tensors if t is not source and "float" in str(t.dtype)]
        same = [t for t in others if self.shape(t) == shape]
        if same and d.chance(0.7):
            merging = d.pick([L.Add, L.Multiply, L.Average, L.Subtract])
            count = 1 if merging is L.Subtract else d.whole(1, 2)
            return self.apply(merging(), source, *[d.pick(same) for _ in range(count)])
        fitting = []
        for other in others:
            along = [i for i, (a, b) in enumerate(zip(shape, self.shape(other))) if a != b]
            if len(self.shape(other)) == len(shape) and len(along) < 2:
                axis = along[0] if along else d.whole(0, len(shape) - 1)
                fitting.append((other, axis))
        if not fitting:
            return None
        other, axis = d.pick(fitting)
        axis = axis - len(shape) if d.chance(0.5) else axis + 1
        return self.apply(L.Concatenate(axis=axis), source, other)

    def attention(self, source):
        """Attention of a sequence to itself or to another."""
        d, shape = self.d, self.shape(source)
        if len(shape) != 2:
            return None
        sequences = [t for t in self.tensors if len(self.shape(t)) == 2 and t.dtype != "int32"]
        call = d.some(0.25, use_causal_mask=[True], return_attention_scores=[True])
        if d.chance(0.5):
            given = d.some(0.3, value_dim=[1, 3], output_shape=[2, (2, 2)], use_bias=[False])
            made = L.MultiHeadAttention(d.whole(1, 3), d.whole(1, 3), **given, **held(d, "kernel", "bias"))
        else:
            width = shape[-1]
            sequences = [t for t in sequences if self.shape(t)[-1] == width]
            kind = d.pick([L.AdditiveAttention, L.Attention])
            mode = {"score_mode": d.pick(["dot", "concat"])} if kind is L.Attention else {}
            made = kind(use_scale=d.chance(0.5), **mode)
        value = d.pick([source, *sequences])
        keys = [t for t in sequences if self.shape(t)[0] == self.shape(value)[0]]
        key = [d.pick(keys)] if keys and d.chance(0.3) else []
        return self.apply(made, source, value, *key, **call)

    def states(self, source):
        """A recurrent layer that puts out its states, and perhaps one that begins with them."""
        if len(self.shape(source)) != 2:
            return None
        d = self.d
        fixed = dict(return_state=True)
        encoder = cell(d, **fixed)
        before = len(self.tensors)
        output = self.apply(encoder, source)
        states = self.tensors[before + 1 :]
        if d.chance(0.3):
            return d.pick([output, *states])
        vectors = [t for t in self.tensors if len(self.shape(t)) == 1]
        if d.chance(0.3):
            first = lambda: L.Dense(encoder.units, d.pick([None, "tanh"]))
            states = [self.apply(first(), d.pick(vectors)) for _ in states]
        sequences = [t for t in self.tensors if len(self.shape(t)) == 2 and t.dtype != "int32"]
        decoder = type(encoder)(
            encoder.units, **d.some(0.5, return_sequences=[True], go_backwards=[True])
        )
        return self.apply(decoder, d.pick(sequences), initial_state=states)

    def again(self, source):
        """A layer that is applied a second time, to another tensor or to the same."""
        earlier = [l for l, shape, n in self.calls if shape == self.shape(source) and n == 1]
        odd = lambda l: isinstance(l, L.Embedding) or getattr(l, "return_state", False)
        earlier = [l for l in earlier if not odd(l)]
        return self.apply(self.d.pick(earlier), source) if earlier else None

    def nested(self, source):
        """A model in the place of a layer."""
        d = self.d
        sequential = d.chance(0.5)
        stack, shape = [], self.shape(source)
        x = first = keras.Input(shape)
        for _ in range(d.whole(1, 3)):
            made = layer(d, self.shape(x))
            if made is None:
                return None
            x = made(x)
            stack.append(made)
        if sequential:
            return self.apply(keras.Sequential([keras.Input(shape), *stack]), source)
        # What stands in its middle may be put out too.
        middle = stack[0].output
        outputs = [x, middle] if len(stack) > 1 and d.chance(0.3) else x
        return self.apply(keras.Model(first, outputs), source)

    def leaves(self):
        return [t for t in self.tensors if id(t) not in self.used and not self.is_input(t)]

    def is_input(self, tensor):
        return any(tensor is x for x in self.inputs)


def stack(d, batch_size=None):
    """A Sequential model, without its head."""
    graph = Growing(d, batch_size)
    x = graph.feed()
    layers = [made for made, *_ in graph.calls]
    for _ in range(d.whole(1, 4)):
        try:
            made = layer(d, graph.shape(x))
            if made is not None:
                x = graph.apply(made, x)
                layers.append(made)
        except (ValueError, ZeroDivisionError):
            pass
    return graph, layers, x


def grown(d):
    """A functional model, without its heads: the graph, and the tensors that get them."""
    graph = Growing(d)
    for _ in range(d.weighted([(5, 1), (3, 2), (1, 3)])):
        source = graph.feed()
        for _ in range(d.whole(1, 3)):
            source = graph.grow(source)
    leaves = graph.leaves()
    if len(graph.inputs) > 1 and len(leaves) > 1 and d.chance(0.6):
        rows = [leaf if len(leaf.shape) == 2 else graph.apply(L.Flatten(), leaf) for leaf in leaves]
        leaves = [graph.apply(L.Concatenate(), *rows)]
    if d.chance(0.2):
        # What a layer behind it takes may be put out too.
        inner = [t for t in graph.tensors if id(t) in graph.used and not graph.is_input(t)]
        leaves += [d.pick(inner)] if inner else []
    if not leaves:
        leaves = [graph.apply(dense(d, None), graph.tensors[-1])]
    if len(leaves) > 3:
        order = d.random.permutation(len(leaves))[:3]
        leaves = [leaves[i] for i in order]
    return graph, leaves
