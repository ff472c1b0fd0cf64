"""Numbers that are the same on all sides of a comparison."""

# Episodes in a batch of `benchmarks.episodes`.
META_BATCH = 16

# Images are `(SIZE, SIZE, 1)`; convolutions have FILTERS channels.
SIZE, FILTERS = 28, 64
NORM_EPSILON = 1e-5

# The order of layers of a block: convolution with bias, batch norm, ReLU,
# max-pool. Any other name stands for the order of `keras_meta.encoders`: no
# bias before batch norm, and max-pool before the ReLU.
USUAL = "usual"

# Adam, of all training steps but Reptile's outer one.
LEARNING_RATE, ADAM_EPSILON = 1e-3, 1e-7
ADAM_DECAYS = (0.9, 0.999)

# Matching Network, Relation Network, Siamese network.
SCALE, READ_STEPS = 10.0, 3
RELATION_UNITS, TWIN_UNITS = 8, 256

# MAML's usual 0.4 overshoots from random weights: rounding errors grow until
# losses cannot be compared. A step costs the same at any rate.
INNER_LEARNING_RATE = 0.05
# Adam in Reptile's inner steps; the decay of the first moment is 0.
REPTILE_LEARNING_RATE = 1e-3
REPTILE_DECAY, REPTILE_EPSILON = 0.999, 1e-8

# Memory-augmented networks: the smallest norm in a cosine.
COSINE_EPSILON = 1e-8
# The memory before the first step; the decay of the usage of its rows.
INITIAL_MEMORY, USAGE_DECAY = 1e-6, 0.95
# NTM: what heads may ask for, and the smallest weight before sharpening.
NTM_CLIP, NTM_LEAST_WEIGHT = 20.0, 1e-12

# Meta Networks: the largest norm of the gradient of all weights; gradients
# below exp(-SMALL_GRADIENT) count as small to the generators, and this
# epsilon keeps the logarithm of zero from arising.
META_CLIP, SMALL_GRADIENT, GRADIENT_EPSILON = 10.0, 7, 2.0**-52

# LSTM meta-learner: the same two numbers.
META_LSTM_CLIP, META_LSTM_SMALL = 0.25, 10
