"""The recipes of the zoo, one file for each family of methods."""

from zoo.recipes import (
    maml,
    matching,
    prototypical,
    relation,
    reptile,
    siamese,
    sinusoids,
    zero_shot,
)
from zoo.recipes.recipe import Evaluation, Recipe
from zoo.wording import unknown

RECIPES = {
    recipe.name: recipe
    for family in (
        prototypical,
        zero_shot,
        matching,
        relation,
        siamese,
        maml,
        reptile,
        sinusoids,
    )
    for recipe in family.RECIPES
}


def find(name):
    """The recipe of a name.

    Args:
        name: A name of `RECIPES`.

    Returns:
        A `Recipe`.

    Raises:
        ValueError: For an unknown name; the nearest are listed.
    """
    if name not in RECIPES:
        raise ValueError(unknown("recipe", name, RECIPES))
    return RECIPES[name]
