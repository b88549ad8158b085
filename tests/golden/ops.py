"""Golden values of single operations, in float64 from f32 inputs, stored as f32."""

import torch
from torch.nn import functional as F

from formula import uniform

# n, c, h, w, k, r, stride, pad, bias
CONV = [
    (1, 3, 8, 8, 16, 4, 2, 1, True), (2, 16, 8, 8, 32, 4, 2, 1, False),
    (1, 6, 9, 11, 5, 4, 2, 1, True), (2, 3, 7, 5, 6, 4, 2, 1, False),
    (1, 16, 2, 2, 32, 4, 2, 1, False), (1, 16, 8, 8, 32, 4, 1, 1, False),
    (3, 5, 7, 6, 1, 4, 1, 1, True), (1, 6, 8, 8, 16, 3, 1, 1, True),
    (2, 16, 5, 7, 16, 3, 1, 1, False), (1, 6, 5, 5, 16, 1, 1, 0, True),
    (3, 16, 4, 3, 1, 1, 1, 0, False), (1, 3, 9, 8, 16, 7, 1, 3, True),
    (1, 5, 8, 8, 16, 3, 2, 1, False), (2, 16, 7, 9, 6, 3, 2, 1, True),
    (1, 1, 6, 6, 1, 4, 2, 1, True), (1, 1, 6, 8, 3, 4, 1, 1, True),
]
CONV_TRANSPOSE = [
    (2, 16, 4, 4, 6, 4, 2, 1, False), (1, 6, 5, 3, 3, 4, 2, 1, True),
    (1, 32, 1, 1, 16, 4, 2, 1, False), (2, 3, 5, 5, 16, 4, 2, 1, True),
    (1, 16, 4, 5, 6, 3, 2, 1, True), (2, 6, 4, 4, 3, 4, 1, 1, False),
    (3, 1, 3, 4, 5, 3, 2, 1, False),
]
CONV_LARGE = [
    (1, 32, 32, 32, 48, 4, 2, 1, False), (1, 40, 34, 38, 32, 4, 2, 1, True),
    (1, 32, 32, 32, 32, 4, 1, 1, False), (2, 32, 17, 23, 40, 4, 1, 1, True),
]
KEYS = ("n", "c", "h", "w", "k", "r", "stride", "pad", "bias")


def backward(out, name, inputs, y, dy):
    """Stores y, dy and the gradient of every input under `name/`."""
    grads = torch.autograd.grad(y, list(inputs.values()), dy)
    out[f"{name}/y"], out[f"{name}/dy"] = y.detach(), dy
    for key, grad in zip(inputs, grads):
        out[f"{name}/d{key}"] = grad


def convolutions(out, kind, cases, stream, stored):
    """`stored=False` leaves x, w, b and dy out: the case names their streams for `formula.py`."""
    rows = []
    for index, case in enumerate(cases):
        n, c, h, w, k, r, stride, pad, bias = case
        name, at = f"{kind}/{index}", stream + 4 * index
        filters = (k, c, r, r) if kind != "conv_transpose" else (c, k, r, r)
        scale = 2.0 ** -round(torch.tensor(float(c * r * r)).log2().item() / 2)
        x, weight = uniform(at, (n, c, h, w)), uniform(at + 1, filters, scale)
        inputs = {"x": x, "w": weight}
        if bias:
            inputs["b"] = uniform(at + 2, (k,), 0.5)
        wide = {key: v.double().requires_grad_() for key, v in inputs.items()}
        f = F.conv_transpose2d if kind == "conv_transpose" else F.conv2d
        y = f(wide["x"], wide["w"], wide.get("b"), stride=stride, padding=pad)
        dy = uniform(at + 3, y.shape)
        backward(out, name, wide, y, dy.double())
        if stored:
            out.update({f"{name}/{key}": v for key, v in inputs.items()})
        else:
            del out[f"{name}/dy"]
        rows.append(dict(zip(KEYS, case)) | {
            "w_scale": scale, "b_scale": 0.5, "y": list(y.shape),
            "streams": {"x": at, "w": at + 1, "b": at + 2, "dy": at + 3}})
    return rows


def norms(out):
    """Batch norm in both modes and instance norm; eps 1e-5, momentum 0.1."""
    shapes = [(1, 5, 4, 6), (2, 16, 4, 4), (3, 6, 1, 1), (1, 32, 2, 2), (2, 3, 7, 5)]
    rows = {"batch_norm": [], "batch_norm_eval": [], "instance_norm": []}
    for index, shape in enumerate(shapes):
        at, c = 2000 + 8 * index, shape[1]
        # Off zero and unequal per channel, so that a mean or variance left out cannot hide.
        x = uniform(at, shape) * (1 + uniform(at + 5, (1, c, 1, 1), 0.5)) + uniform(
            at + 6, (1, c, 1, 1))
        gamma, beta = 1 + uniform(at + 1, (c,), 0.5), uniform(at + 2, (c,), 0.5)
        mean, var = uniform(at + 3, (c,), 0.5), 1 + uniform(at + 4, (c,), 0.5)
        dy = uniform(at + 7, shape)
        for kind, train in (("batch_norm", True), ("batch_norm_eval", False)):
            name = f"{kind}/{index}"
            wide = {k: v.double().requires_grad_()
                    for k, v in (("x", x), ("gamma", gamma), ("beta", beta))}
            m, v = mean.double(), var.double()
            y = F.batch_norm(wide["x"], m, v, wide["gamma"], wide["beta"], train, 0.1, 1e-5)
            backward(out, name, wide, y, dy.double())
            out |= {f"{name}/x": x, f"{name}/gamma": gamma, f"{name}/beta": beta,
                    f"{name}/mean_before": mean, f"{name}/var_before": var}
            if train:
                out |= {f"{name}/mean_after": m, f"{name}/var_after": v}
            rows[kind].append({"shape": shape, "eps": 1e-5, "momentum": 0.1})
        if shape[2] * shape[3] > 1:  # PyTorch refuses a single value per channel and picture
            i = len(rows["instance_norm"])
            wide = {"x": x.double().requires_grad_()}
            backward(out, f"instance_norm/{i}", wide, F.instance_norm(wide["x"], eps=1e-5),
                     dy.double())
            out[f"instance_norm/{i}/x"] = x
            rows["instance_norm"].append({"shape": shape, "eps": 1e-5})
    return rows


def pointwise(out):
    """Activations, concat and add."""
    one = {"leaky_relu": lambda x: F.leaky_relu(x, 0.2), "relu": F.relu, "tanh": torch.tanh}
    rows = {}
    for j, (kind, f) in enumerate(one.items()):
        rows[kind] = []
        for index, shape in enumerate([(1, 3, 4, 5), (2, 16, 3, 3)]):
            at = 3000 + 100 * j + 2 * index
            x, dy = uniform(at, shape, 2.0), uniform(at + 1, shape)
            wide = {"x": x.double().requires_grad_()}
            backward(out, f"{kind}/{index}", wide, f(wide["x"]), dy.double())
            out[f"{kind}/{index}/x"] = x
            rows[kind].append({"shape": shape} | ({"slope": 0.2} if kind == "leaky_relu" else {}))
    two = {"concat": (lambda a, b: torch.cat([a, b], 1), [((1, 3, 4, 5), (1, 3, 4, 5)),
                                                          ((2, 16, 3, 2), (2, 5, 3, 2))]),
           "add": (torch.add, [((1, 3, 4, 5), (1, 3, 4, 5)), ((2, 16, 3, 2), (2, 16, 3, 2))])}
    for j, (kind, (f, cases)) in enumerate(two.items()):
        rows[kind] = []
        for index, shapes in enumerate(cases):
            at = 3500 + 100 * j + 3 * index
            a, b = uniform(at, shapes[0]), uniform(at + 1, shapes[1])
            wide = {"a": a.double().requires_grad_(), "b": b.double().requires_grad_()}
            y = f(wide["a"], wide["b"])
            backward(out, f"{kind}/{index}", wide, y, uniform(at + 2, y.shape).double())
            out |= {f"{kind}/{index}/a": a, f"{kind}/{index}/b": b}
            rows[kind].append({"a": shapes[0], "b": shapes[1]})
    return rows


def losses(out):
    """Means over all elements; y has shape (1,), dy is 1. Logits reach +-8 and beyond."""
    rows = {"bce": [], "mse": [], "l1": [], "l2": []}
    shapes = [(1, 1, 6, 6), (2, 1, 5, 7)]
    for kind, f in (("bce", F.binary_cross_entropy_with_logits), ("mse", F.mse_loss)):
        for target in (0.0, 1.0):
            for shape in shapes:
                name = f"{kind}/{len(rows[kind])}"
                x = uniform(4000 + len(out), shape, 8.0 if kind == "bce" else 2.0)
                if kind == "bce":
                    x.view(-1)[:4] = torch.tensor([40.0, -40.0, 0.0, 100.0])
                wide = {"x": x.double().requires_grad_()}
                y = f(wide["x"], torch.full_like(wide["x"], target)).reshape(1)
                backward(out, name, wide, y, torch.ones(1, dtype=torch.float64))
                out[f"{name}/x"] = x
                rows[kind].append({"shape": shape, "target": target})
    for kind, f in (("l1", F.l1_loss), ("l2", F.mse_loss)):
        for shape in [(1, 3, 6, 6), (2, 3, 5, 7)]:
            name = f"{kind}/{len(rows[kind])}"
            x, t = uniform(4500 + len(out), shape), uniform(4501 + len(out), shape)
            wide = {"x": x.double().requires_grad_()}
            y = f(wide["x"], t.double()).reshape(1)
            backward(out, name, wide, y, torch.ones(1, dtype=torch.float64))
            out |= {f"{name}/x": x, f"{name}/t": t}
            rows[kind].append({"shape": shape})
    return rows


def adam(out):
    """Five Adam steps on one vector; gradients span 1e-10 (below eps) to 1."""
    count, steps = 64, 5
    w = uniform(5000, (count,), 0.125)
    size = 10.0 ** torch.linspace(-10, 0, count)
    grads = torch.stack([uniform(5001 + s, (count,)) * size for s in range(steps)])
    p = w.double().requires_grad_()
    rule = {"lr": 2e-4, "betas": (0.5, 0.999), "eps": 1e-8}
    optimizer = torch.optim.Adam([p], **rule)
    after = []
    for g in grads:
        p.grad = g.double()
        optimizer.step()
        after.append(p.detach().clone())
    state = optimizer.state[p]
    out |= {"adam/0/w": w, "adam/0/g": grads, "adam/0/w_after": torch.stack(after),
            "adam/0/m": state["exp_avg"], "adam/0/v": state["exp_avg_sq"]}
    return {"adam": [rule | {"steps": steps}]}


# n, c, h, w, rows and columns of the window, stride, pad
POOL = [
    (1, 3, 6, 6, 2, 2, 2, 0), (2, 5, 9, 7, 3, 3, 2, 1), (1, 4, 7, 8, 2, 3, 2, 1),
    (1, 3, 9, 7, 2, 2, 3, 0), (2, 16, 5, 5, 3, 3, 1, 1),
]


def pools(out):
    """Max and average pooling. Maxima have equals: x is in quarters; `max_pool_nan` holds NaN."""
    rows = {"max_pool": [], "max_pool_nan": [], "average_pool": []}
    for j, (kind, f) in enumerate((("max_pool", F.max_pool2d), ("max_pool_nan", F.max_pool2d),
                                   ("average_pool", F.avg_pool2d))):
        for index, case in enumerate(POOL):
            n, c, h, w, r, s, stride, pad = case
            name, at = f"{kind}/{index}", 9000 + 100 * j + 2 * index
            x = uniform(at, (n, c, h, w))
            if kind != "average_pool":
                x = torch.round(4 * x) / 4
            if kind == "max_pool_nan":
                x.view(-1)[::5] = float("nan")
            wide = {"x": x.double().requires_grad_()}
            y = f(wide["x"], (r, s), stride, pad)
            backward(out, name, wide, y, uniform(at + 1, y.shape).double())
            out[f"{name}/x"] = x
            rows[kind].append(dict(zip(("n", "c", "h", "w", "r", "s", "stride", "pad"), case)))
    return rows


def upsample(out):
    """Nearest upsampling."""
    rows = []
    for index, (shape, factor) in enumerate([((1, 3, 4, 5), 2), ((2, 5, 3, 2), 3),
                                             ((1, 16, 2, 2), 1)]):
        name, at = f"upsample/{index}", 9300 + 2 * index
        x = uniform(at, shape)
        wide = {"x": x.double().requires_grad_()}
        y = F.interpolate(wide["x"], scale_factor=factor, mode="nearest")
        backward(out, name, wide, y, uniform(at + 1, y.shape).double())
        out[f"{name}/x"] = x
        rows.append({"shape": shape, "factor": factor})
    return {"upsample": rows}


def reflection_pad(out):
    """Reflection padding, the widest of its picture among them."""
    rows = []
    for index, (shape, pad) in enumerate([((1, 3, 9, 8), 3), ((2, 5, 4, 3), 2), ((1, 16, 2, 2), 1),
                                          ((1, 3, 5, 6), 4)]):
        name, at = f"reflection_pad/{index}", 9400 + 2 * index
        x = uniform(at, shape)
        wide = {"x": x.double().requires_grad_()}
        y = F.pad(wide["x"], (pad,) * 4, mode="reflect")
        backward(out, name, wide, y, uniform(at + 1, y.shape).double())
        out[f"{name}/x"] = x
        rows.append({"shape": shape, "pad": pad})
    return {"reflection_pad": rows}


def cross_entropy(out):
    """Mean over the pixels whose label is not the ignored one. dy is the number of pixels, so that
    gradients are near 1. Logits reach +-8 and, one pixel, 100."""
    rows = []
    for index, (shape, ignored) in enumerate([((1, 5, 4, 3), 255), ((2, 19, 5, 7), 255),
                                              ((1, 2, 6, 6), None), ((1, 4, 5, 5), 0)]):
        name, at = f"cross_entropy/{index}", 9500 + 2 * index
        n, c, h, w = shape
        x = uniform(at, shape, 8.0)
        x[0, 0, 0, 0], x[0, 1, 0, 0] = 100.0, -100.0
        labels = torch.floor((uniform(at + 1, (n, 1, h, w)) + 1) / 2 * c)
        if ignored is not None:
            labels.view(-1)[2::3] = ignored
        wide = {"x": x.double().requires_grad_()}
        none = {} if ignored is None else {"ignore_index": ignored}
        y = F.cross_entropy(wide["x"], labels[:, 0].long(), **none).reshape(1)
        backward(out, name, wide, y, torch.full((1,), float(n * h * w), dtype=torch.float64))
        out |= {f"{name}/x": x, f"{name}/labels": labels}
        rows.append({"shape": shape} | ({} if ignored is None else {"ignored": ignored}))
    return {"cross_entropy": rows}


def softmax(out):
    """Over the channels of each pixel. Logits reach +-8 and, at one pixel, 100."""
    rows = []
    for index, shape in enumerate([(1, 5, 4, 3), (2, 19, 5, 7), (1, 2, 6, 6), (1, 1, 2, 3)]):
        name, at = f"softmax/{index}", 9600 + 2 * index
        x = uniform(at, shape, 8.0)
        x[0, 0, 0, 0] = 100.0
        wide = {"x": x.double().requires_grad_()}
        y = F.softmax(wide["x"], 1)
        backward(out, name, wide, y, uniform(at + 1, y.shape).double())
        out[f"{name}/x"] = x
        rows.append({"shape": shape})
    return {"softmax": rows}


def weigh(out):
    """Each pixel's channels times its weight, 0 at every third; weights have no gradient."""
    rows = []
    for index, shape in enumerate([(1, 5, 4, 3), (2, 16, 5, 7), (1, 1, 3, 3)]):
        name, at = f"weigh/{index}", 9700 + 3 * index
        n, c, h, w = shape
        x, weights = uniform(at, shape), uniform(at + 1, (n, 1, h, w))
        weights.view(-1)[::3] = 0.0
        wide = {"x": x.double().requires_grad_()}
        y = wide["x"] * weights.double()
        backward(out, name, wide, y, uniform(at + 2, y.shape).double())
        out |= {f"{name}/x": x, f"{name}/weights": weights}
        rows.append({"shape": shape})
    return {"weigh": rows}


def small():
    """(tensors, cases) of `ops.safetensors`."""
    out = {}
    cases = {"conv": convolutions(out, "conv", CONV, 100, True),
             "conv_transpose": convolutions(out, "conv_transpose", CONV_TRANSPOSE, 1000, True)}
    cases |= norms(out) | pointwise(out) | losses(out) | adam(out)
    # Behind the others, whose streams count what is there.
    return out, (cases | pools(out) | upsample(out) | reflection_pad(out) | cross_entropy(out) |
                 softmax(out) | weigh(out))


def large():
    """(tensors, cases) of `conv_large.safetensors`: x, w, b and dy come from `formula.py`."""
    out = {}
    return out, {"conv": convolutions(out, "conv", CONV_LARGE, 6000, False)}
