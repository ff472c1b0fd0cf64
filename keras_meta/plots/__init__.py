"""Figures of episodes, embeddings, attention, memory, scores and training.

They are Matplotlib figures made without `pyplot`, so there is no backend to
choose and no global list that keeps them alive. A notebook shows a figure that
is returned; `save_figure` writes it to a file. The colours are safe for
colour-blind readers, and what differs by colour also differs by a sign, a
marker, a hatch or a line style.
"""

from keras_meta.plots.attention import plot_attention
from keras_meta.plots.embeddings import plot_embeddings
from keras_meta.plots.episode import plot_episode
from keras_meta.plots.figure_files import save_figure
from keras_meta.plots.gates import plot_gates
from keras_meta.plots.instance_accuracy import plot_instance_accuracy
from keras_meta.plots.instance_comparison import plot_instance_comparison
from keras_meta.plots.learning_curves import plot_learning_curves
from keras_meta.plots.memory import plot_memory
from keras_meta.plots.pair_scores import plot_score_histogram
from keras_meta.plots.regression import plot_regression_adaptation
from keras_meta.plots.reliability import plot_reliability
from keras_meta.plots.sequence_copy import plot_copy
