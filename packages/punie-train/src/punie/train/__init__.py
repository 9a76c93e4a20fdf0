"""The pipeline that makes small models: data, training, evaluation, by manifest."""
