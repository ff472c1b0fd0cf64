"""Peer of `MAML`: the function transforms of `torch.func`.

`functional_call`, `grad` and `vmap` over the tasks.
"""

from benchmarks.hyperparameters import INNER_LEARNING_RATE
from benchmarks.peers.torch_outer_step import torch_labels


def torch_functional(case, network):
    """The meta-gradient of all tasks at once."""
    from torch.func import functional_call, grad, grad_and_value, vmap
    from torch.nn.functional import cross_entropy

    parameters = dict(network.named_parameters())
    support_y, query_y = torch_labels(case)

    def loss_of(weights, images, targets):
        return cross_entropy(
            functional_call(network, weights, (images,)), targets
        )

    def task_loss(weights, support_x, query_x):
        for _ in range(case.inner_steps):
            gradients = grad(loss_of)(weights, support_x, support_y)
            if case.first_order:
                gradients = {k: v.detach() for k, v in gradients.items()}
            weights = {
                name: weight - INNER_LEARNING_RATE * gradients[name]
                for name, weight in weights.items()
            }
        return loss_of(weights, query_x, query_y)

    # The gradient is taken inside `vmap`, task by task: in PyTorch 2.13 the
    # gradient of the mean of a `vmap` has wrong second derivatives of batch
    # norm.
    task_gradients = vmap(grad_and_value(task_loss), (None, 0, 0))

    def meta_gradient(support, query):
        weights = {name: p.detach() for name, p in parameters.items()}
        gradients, losses = task_gradients(weights, support, query)
        for name, parameter in parameters.items():
            parameter.grad = gradients[name].mean(0)
        return losses.mean()

    return meta_gradient
