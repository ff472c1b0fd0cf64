"""A few-shot classifier is an estimator of scikit-learn."""

import pickle

import keras
import numpy as np
import pandas as pd
import pytest
from keras import ops
from scan_tasks import KINDS, fitted, model, pictures
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import estimator_checks_generator

import keras_meta as km
from keras_meta.ops import class_means

OWN_WORDS = "the error is of the library's own form, which names `images`"
# Checks of scikit-learn that do not apply.
NOT_APPLICABLE = {
    "check_fit_score_takes_y": "labels are an argument `labels`, not `y`",
    "check_do_not_raise_errors_in_init_or_set_params": (
        "a model that cannot learn classes is refused at once"
    ),
    "check_classifiers_regression_target": "floats may be labels",
    "check_supervised_y_2d": "a column of labels is an error, not a warning",
    "check_requires_y_none": "the error names `labels`, not `y`",
    "check_complex_data": OWN_WORDS,
    "check_estimators_empty_data_messages": OWN_WORDS,
    "check_dtype_object": OWN_WORDS,
    "check_fit2d_predict1d": OWN_WORDS,
    "check_n_features_in_after_fitting": OWN_WORDS,
}
# Passed on some processors and failed on others.
BY_ROUNDING = {
    "check_methods_sample_order_invariance": (
        "float32 agrees to 1e-6; the check asks for 1e-7"
    ),
}


@km.register
class NearestMean(km.models.EpisodicModel):
    """A model without weights: of any number of features, as checks need."""

    def build(self, input_shape):
        pass

    def adapt(self, support_x, support_y, training=False):
        return class_means(support_x, support_y)

    def infer(self, task, query_x, training=False):
        # Row by row the same numbers, whatever the other rows are.
        difference = query_x[:, :, None] - task[:, None]
        return -ops.sum(difference * difference, axis=-1)


CHECKS = list(estimator_checks_generator(km.FewShotClassifier(NearestMean())))


@pytest.mark.parametrize(
    "estimator, check",
    CHECKS,
    ids=[check.func.__name__ for _, check in CHECKS],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_the_checks_of_scikit_learn(estimator, check):
    if reason := BY_ROUNDING.get(check.func.__name__):
        pytest.skip(reason)
    if check.func.__name__ not in NOT_APPLICABLE:
        check(estimator)
        return
    with pytest.raises((AssertionError, ValueError, TypeError)):
        check(estimator)


def test_a_clone_is_not_fitted_and_shares_the_model():
    classifier = fitted()
    other = clone(classifier)
    assert other.get_params() == {"model": classifier.model}
    assert other.model is classifier.model
    with pytest.raises(NotFittedError, match="call `fit"):
        other.predict(pictures("bar", 1))
    assert "knows no classes" in repr(other)
    assert "PrototypicalNetwork" in repr(classifier)
    assert "3 classes, 6 examples" in repr(classifier)
    assert not hasattr(classifier, "n_features_in_")


def test_another_model_must_be_fitted():
    classifier = fitted()
    classifier.set_params(model=model())
    with pytest.raises(NotFittedError, match="call `fit"):
        classifier.add_class(pictures("bar", 1), "more")
    # The constructor refuses it too.
    classifier.set_params(model=keras.layers.Dense(3))
    with pytest.raises(ValueError, match="`model` must be"):
        classifier.fit(pictures("bar", 2), ["a", "b"])


def test_it_is_cross_validated_with_labels_of_any_index():
    images = np.concatenate([pictures(kind, 4) for kind in KINDS])
    labels = pd.Series(np.repeat(KINDS, 4), index=np.arange(12)[::-1])
    classifier = km.FewShotClassifier(model())
    # Only a classifier is given folds that hold every class.
    scores = cross_val_score(classifier, images, labels, cv=4)
    assert scores.tolist() == [1, 1, 1, 1]
    assert not hasattr(classifier, "classes_")


def test_it_ends_a_pipeline_and_is_searched():
    images = np.concatenate([pictures(kind, 4) for kind in KINDS])
    labels = np.repeat(KINDS, 4)
    pipeline = make_pipeline(
        FunctionTransformer(lambda scans: 255 - scans),
        km.FewShotClassifier(NearestMean()),
    )
    models = [model(), model(preprocessing=km.Preprocessing(size=8))]
    search = GridSearchCV(
        pipeline, {"fewshotclassifier__model": models}, cv=2
    ).fit(images, labels)
    assert search.best_score_ == 1
    assert search.best_estimator_[-1].model is models[0]
    assert search.predict(images[:1]).tolist() == ["bar"]
    assert search.classes_.tolist() == sorted(KINDS)


def test_a_fitted_classifier_is_pickled():
    rows = np.random.default_rng(0).normal(size=(6, 4))
    classifier = km.FewShotClassifier(model(preprocessing=None))
    classifier.fit(rows, list("aabbcc"))
    assert classifier.n_features_in_ == 4
    other = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_allclose(
        other.predict_proba(rows), classifier.predict_proba(rows), atol=1e-6
    )
