"""What `make test-quick` leaves out: tests that take a second or more.

They are marked `slow` in `conftest.py`. Stated in one place, as the choice is
one of time: `pytest --durations=60` shows what has become slow.
"""

# Processes of their own, or data and runs that all tests of a file share.
FILES = {
    "api_schema_test",
    "api_server_test",
    "benchmarks_test",
    "classifier_litert_test",
    "demo_page_test",
    "docs_test",
    "examples_test",
    "file_damage_test",
    "glyph_descriptions_test",
    "glyphs_test",
    "gradient_family_benchmark_test",
    "graph_ink_test",
    "graph_preprocessing_test",
    "interrupts_test",
    "litert_test",
    "memory_family_benchmark_test",
    "meta_lstm_benchmark_test",
    "meta_network_benchmark_test",
    "multi_worker_test",
    "notebooks_test",
    "onnx_test",
    "precision_benchmark_test",
    "presets_benchmark_test",
    "progress_test",
    "replicated_fit_test",
    "resumable_training_test",
    "run_folder_test",
    "serving_benchmark_test",
    "startup_lines_test",
    "tensorflow_serving_test",
    "train_test",
    "unknowns_benchmark_test",
    "wheel_test",
    "zoo_copies_test",
    "zoo_sequences_test",
}
# Variants of a method that is tested without them, and the slowest methods.
CASES = {
    "anil",
    "fomaml",
    "maml_plus_plus",
    "proto_maml",
    "matching_network_full_context",
    "memory_augmented_network_letters",
    "memory_augmented_network_lstm",
    "memory_augmented_network_ntm",
    "meta_lstm",
    "meta_network",
    "meta_sgd",
    "reptile",
}
TESTS = {
    "anil_test": {
        "test_the_meta_gradient_is_that_of_finite_differences",
    },
    "augmentation_test": {
        "test_it_works_inside_an_episode_dataset",
    },
    "batch_statistics_test": {
        "test_a_frozen_part_of_a_network_stays_in_training",
    },
    "command_line_test": {
        "test_a_fitted_classifier_predicts_folders_as_a_table",
        "test_a_plain_keras_model_is_no_classifier_and_is_exported",
        "test_a_process_of_its_own_writes_no_startup_lines",
        "test_export_takes_pictures_of_any_size",
        "test_export_writes_a_file_for_phones",
        "test_export_writes_a_saved_model_once",
        "test_plot_draws_what_a_model_has",
        "test_train_writes_a_preset_that_loads",
    },
    "conformance_test": {
        "test_a_saved_model_predicts_the_same",
        "test_a_saved_model_works_in_a_process_with_tensorflow_only",
        "test_an_interrupted_export_leaves_nothing",
        "test_episodes_of_variable_way_and_shot_train_and_count",
        "test_other_dtypes_run_and_predict_in_float32_at_least",
        "test_two_replicas_train_like_one",
        "test_xla_gives_the_same_training",
    },
    "copies_test": {
        "test_fit_counts_the_steps_of_the_recall_alone",
    },
    "demo_answers_test": {
        "test_a_classifier_opens_with_its_classes",
        "test_a_colour_model_of_another_range_gets_what_it_expects",
        "test_a_model_that_embeds_nothing_has_no_map",
        "test_a_preset_opens_without_classes_if_it_learns_pictures",
    },
    "demo_server_test": {
        "test_a_model_of_one_way_takes_that_many_classes",
        "test_a_question_is_answered_and_learned_once",
    },
    "evaluate_test": {
        "test_the_squared_error_of_sinusoids_is_that_of_each_task",
    },
    "gradient_based_model_test": {
        "test_a_failed_task_stops_fit_whatever_callbacks_are_given",
        "test_kept_state_is_exported",
    },
    "lrua_cell_test": {
        "test_a_model_is_saved_and_loaded",
        "test_fit_trains_it_under_xla",
        "test_gradients_equal_finite_differences",
        "test_jit_compile_changes_nothing",
        "test_long_sequences_have_finite_gradients",
        "test_other_dtypes_run",
    },
    "maml_test": {
        "test_first_order_has_no_second_order_graph",
        "test_gradients_on_quadratics",
        "test_gradients_through_batch_norm",
        "test_shots_that_vary_train",
        "test_steps_per_execution_give_the_same_training",
        "test_the_fused_batch_norm_gives_the_same_meta_gradient",
        "test_the_meta_gradient_is_that_of_finite_differences",
    },
    "matching_network_test": {
        "test_full_context_has_the_right_second_derivative",
    },
    "mean_over_views_test": {
        "test_a_model_with_it_is_saved_and_exported",
        "test_it_runs_under_xla",
        "test_training_is_that_of_the_encoder_alone",
    },
    "memory_augmented_network_test": {
        "test_an_encoder_may_stand_in_front",
    },
    "meta_lstm_test": {
        "test_a_task_that_is_not_finite_is_named_and_changes_nothing",
        "test_fixed_gates_are_gradient_descent",
        "test_it_trains_saves_and_goes_on",
        "test_blocks_change_nothing_of_the_meta_gradient",
        "test_steps_and_meta_gradient_are_those_of_the_vector",
        "test_the_meta_gradient_is_that_of_the_steps_written_out",
    },
    "meta_network_test": {
        "test_a_network_may_begin_with_layers_that_have_slow_weights_only",
        "test_a_task_that_turns_nan_is_named",
        "test_auto_is_cross_entropy_at_one_shot_and_verification_above",
        "test_gradients_are_data_to_the_meta_gradient",
        "test_it_is_the_algorithm_an_example_at_a_time",
        "test_options_come_back",
        "test_the_logs_tell_what_slow_weights_do_alone",
        "test_the_loss_that_is_logged_is_that_of_the_queries",
        "test_the_verification_is_trained_by_its_own_loss",
        "test_without_fast_weights_of_the_task",
    },
    "meta_sgd_test": {
        "test_fixed_weights_have_no_rate",
        "test_the_meta_gradient_is_that_of_finite_differences",
        "test_the_rates_are_trained_saved_and_exported",
    },
    "mini_imagenet_test": {
        "test_the_recipe_runs_when_the_photographs_are_there",
    },
    "ntm_cell_test": {
        "test_a_model_is_saved_and_loaded",
        "test_gradients_equal_finite_differences",
        "test_jit_compile_changes_nothing",
        "test_long_sequences_have_finite_gradients",
        "test_other_dtypes_run",
    },
    "pretrained_weights_test": {
        "test_it_is_the_network_of_the_file",
        "test_pictures_have_their_classes_of_imagenet",
        "test_running_statistics_are_exact_in_a_model",
        "test_what_is_wrong_with_a_package_is_said",
    },
    "presets_test": {
        "test_an_interrupted_save_leaves_the_old_or_is_refused",
    },
    "prototypical_network_test": {
        "test_every_distance_trains_and_comes_back",
    },
    "readme_test": {
        "test_the_blocks_run_one_after_another_in_one_session",
    },
    "replicas_benchmark_test": {
        "test_it_times_replicas_and_workers",
    },
    "reptile_test": {
        "test_tasks_start_from_the_same_moments_and_store_their_mean",
    },
    "sequences_test": {
        "test_start_continues_exactly",
    },
    "siamese_network_test": {
        "test_any_distance_serves_instead_of_the_weighted_l1",
    },
    "threads_test": {
        "test_threads_are_set_before_the_first_operation",
    },
    "worker_batches_test": {
        "test_the_part_of_a_worker_is_its_shard",
    },
    "zoo_test": {
        "test_a_stored_task_gives_the_stored_output",
        "test_the_accuracy_measured_again_agrees",
    },
}


def is_slow(item):
    """Whether `make test-quick` leaves a collected test out."""
    file = item.path.stem
    if file in FILES:
        return True
    parameters = getattr(item, "callspec", None)
    case = (
        file == "conformance_test" and parameters and parameters.params["case"]
    )
    return getattr(case, "name", None) in CASES or getattr(
        item, "originalname", None
    ) in TESTS.get(file, ())
