"""The fingerprint of a model: its architecture, and no counted names."""

import keras
import pytest

import keras_meta as km
from zoo import recipes
from zoo.model_digest import model_digest


def network(units=8, activation="relu", skip=False, **options):
    """A functional network, whose config refers to layers by name."""
    x = inputs = keras.Input((4,))
    for _ in range(2):
        x = keras.layers.Dense(units, activation)(x)
    first = keras.layers.Dense(units)(inputs if skip else x)
    encoder = keras.Model(inputs, keras.layers.Add()([first, x]))
    return km.models.PrototypicalNetwork(encoder, **options)


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_a_recipe_makes_the_same_model_each_time(name):
    recipe = recipes.find(name)
    assert model_digest(recipe.model()) == model_digest(recipe.model())


def test_recipes_of_other_models_have_other_digests():
    models = {
        name: model_digest(recipes.find(name).model())
        for name in (
            "maml_omniglot_5way",
            "fomaml_omniglot_5way",
            "maml_omniglot_20way",
            "reptile_omniglot_5way",
            "matching_network_omniglot",
            "matching_network_fce_omniglot",
        )
    }
    assert len(set(models.values())) == len(models)


@pytest.mark.parametrize(
    "change",
    [
        {"units": 9},
        {"activation": "tanh"},
        {"skip": True},
        {"statistics": "batch"},
        {"preprocessing": km.Preprocessing(size=2)},
        {"dtype": "float64"},
    ],
    ids=str,
)
def test_another_architecture_has_another_digest(change):
    assert model_digest(network()) == model_digest(network())
    assert model_digest(network()) != model_digest(network(**change))
