"""The recipes of the zoo, one file for each family of methods."""

import functools
import importlib

from zoo.recipes.recipe import Evaluation, Recipe
from zoo.wording import unknown

FAMILIES = (
    "prototypical",
    "photographs",
    "zero_shot",
    "matching",
    "relation",
    "siamese",
    "memory",
    "meta_network",
    "meta_lstm",
    "maml",
    "maml_plus_plus",
    "maml_plus_plus_conv4",
    "proto_maml",
    "reptile",
    "sinusoids",
    "ntm_copy",
)
# The keys of `RECIPES`. Making the recipes brings in TensorFlow, which a list
# of them and a misspelled name do without.
NAMES = (
    "prototypical_network_omniglot",
    "prototypical_network_omniglot_random1200",
    "prototypical_network_omniglot_lake",
    "prototypical_network_omniglot_within",
    "prototypical_network_glyphs",
    "prototypical_network_photos",
    "zero_shot_prototypical_network_glyphs",
    "zero_shot_prototypical_network_cub",
    "matching_network_omniglot",
    "matching_network_fce_omniglot",
    "relation_network_omniglot",
    "relation_network_omniglot_random1200",
    "siamese_network_omniglot",
    "siamese_network_omniglot_105",
    "mann_omniglot_5way",
    "lstm_omniglot_5way",
    "ntm_omniglot_5way",
    "mann_omniglot_5way_letters",
    "mann_omniglot_15way",
    "mann_omniglot_5way_vinyals",
    "lstm_omniglot_5way_vinyals",
    "ntm_omniglot_5way_vinyals",
    "meta_network_omniglot_5way_random1200",
    "meta_network_omniglot_5way_slow_encoder_random1200",
    "meta_network_omniglot_20way_random1200",
    "meta_network_omniglot_20way_slow_encoder_random1200",
    "meta_network_omniglot_5way",
    "meta_network_omniglot_5way_slow_encoder",
    "meta_network_omniglot_20way",
    "meta_network_omniglot_20way_slow_encoder",
    "prototypical_network_conv5_omniglot_random1200",
    "prototypical_network_conv5_omniglot",
    "meta_lstm_omniglot_5way",
    "meta_lstm_omniglot_20way",
    "meta_lstm_mini_imagenet_5way_1shot",
    "meta_lstm_mini_imagenet_5way_5shot",
    "maml_omniglot_5way",
    "maml_omniglot_20way",
    "maml_omniglot_5way_random1200",
    "fomaml_omniglot_5way",
    "fomaml_omniglot_20way",
    "fomaml_omniglot_5way_random1200",
    "maml_plus_plus_omniglot_20way",
    "maml_plus_plus_omniglot_20way_random1200",
    "fomaml_plus_plus_omniglot_20way",
    "maml_plus_plus_conv4_omniglot_20way",
    "maml_plus_plus_conv4_omniglot_5way",
    "maml_plus_plus_conv4_omniglot_20way_random1200",
    "fomaml_plus_plus_conv4_omniglot_20way",
    "fomaml_plus_plus_conv4_omniglot_5way",
    "proto_maml_omniglot",
    "reptile_omniglot_5way",
    "reptile_omniglot_20way",
    "reptile_omniglot_5way_random1200",
    "maml_sinusoid",
    "reptile_sinusoid",
    "ntm_copy",
)


@functools.cache
def _recipes():
    """All recipes by name."""
    families = (
        importlib.import_module(f"zoo.recipes.{name}") for name in FAMILIES
    )
    return {
        recipe.name: recipe for family in families for recipe in family.RECIPES
    }


def __getattr__(name):
    """`RECIPES`, the dict of all recipes, once it is asked for."""
    if name == "RECIPES":
        return _recipes()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def check_name(name: str) -> None:
    """Raises a ValueError that lists the nearest for an unknown recipe."""
    if name not in NAMES:
        raise ValueError(unknown("recipe", name, NAMES))


def find(name: str) -> Recipe:
    """The recipe of a name.

    Args:
        name: A name of `NAMES`.

    Returns:
        A `Recipe`.

    Raises:
        ValueError: For an unknown name; the nearest are listed.
    """
    check_name(name)
    return _recipes()[name]
