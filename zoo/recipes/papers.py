"""The papers of the methods, as cards cite them."""

GRAVES = (
    "Graves, Wayne and Danihelka, Neural Turing Machines, arXiv 1410.5401, 2014"
)
KOCH = "Koch, Zemel and Salakhutdinov, Siamese Neural Networks for One-shot Image Recognition, ICML Deep Learning Workshop 2015"
VINYALS = "Vinyals, Blundell, Lillicrap, Kavukcuoglu and Wierstra, Matching Networks for One Shot Learning, NIPS 2016"
SUNG = "Sung, Yang, Zhang, Xiang, Torr and Hospedales, Learning to Compare: Relation Network for Few-Shot Learning, CVPR 2018"
FINN = "Finn, Abbeel and Levine, Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks, ICML 2017"
NICHOL = "Nichol, Achiam and Schulman, On First-Order Meta-Learning Algorithms, arXiv 1803.02999, 2018"
SNELL = "Snell, Swersky and Zemel, Prototypical Networks for Few-shot Learning, NIPS 2017"
SANTORO = "Santoro, Bartunov, Botvinick, Wierstra and Lillicrap, Meta-Learning with Memory-Augmented Neural Networks, ICML 2016"
MUNKHDALAI = "Munkhdalai and Yu, Meta Networks, ICML 2017"
RAVI = "Ravi and Larochelle, Optimization as a Model for Few-Shot Learning, ICLR 2017"
TRIANTAFILLOU = "Triantafillou, Zhu, Dumoulin, Lamblin, Evci, Xu, Goroshin, Gelada, Swersky, Manzagol and Larochelle, Meta-Dataset: A Dataset of Datasets for Learning to Learn from Few Examples, ICLR 2020"
ANTONIOU = "Antoniou, Edwards and Storkey, How to Train Your MAML, ICLR 2019"
