"""tutorials.py FOLDER: small models of the sequence examples at keras.io/examples, as NAME.keras beside
NAME.npz: what each is fed, its labels, what it predicts, its loss, and what it predicts after three
steps of training.
tutorials.py FOLDER check: Keras predicts the same from NAME.ours.keras, which was trained elsewhere.

Layers that the examples define in Python stand here as the layers of Keras that they are made of. Dropout
has the rate 0, since its random numbers are others here. Embeddings are trained by SGD: with Adam, Keras on
TensorFlow updates the moments once for each repetition of a token (tests/golden/embedding_optimizers.py).
"""

import os
import pathlib
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np
from keras import layers as L
from keras import losses, ops, optimizers

FOLDER = pathlib.Path(sys.argv[1])
BATCH, STEPS = 6, 3
TOLERANCE = 1e-4


def tokens(random, *shape, below):
    return random.integers(1, below, (BATCH * STEPS, *shape)).astype("int32")


def padded(random, *shape, below):
    x = tokens(random, *shape, below=below)
    for row, length in enumerate(random.integers(1, shape[-1] + 1, len(x))):
        x[row, length:] = 0
    return x


def floats(random, *shape):
    return random.normal(size=(BATCH * STEPS, *shape)).astype("float32")


def one_hot(random, *shape):
    return np.eye(shape[-1], dtype="float32")[random.integers(0, shape[-1], (BATCH * STEPS, *shape[:-1]))]


def sentiment(random):
    """nlp/bidirectional_lstm_imdb"""
    x = keras.Input((None,), dtype="int32")
    y = L.Embedding(40, 8)(x)
    y = L.Bidirectional(L.LSTM(6, return_sequences=True))(y)
    y = L.Bidirectional(L.LSTM(6))(y)
    model = keras.Model(x, L.Dense(1, activation="sigmoid")(y))
    model.compile(optimizers.SGD(0.1), "binary_crossentropy", metrics=["accuracy"])
    return model, [tokens(random, 12, below=40)], random.integers(0, 2, (BATCH * STEPS, 1)).astype("float32")


def addition(random):
    """nlp/addition_rnn"""
    model = keras.Sequential([
        keras.Input((7, 12)), L.LSTM(16), L.RepeatVector(4), L.LSTM(16, return_sequences=True),
        L.Dense(12, activation="softmax"),
    ])
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model, [one_hot(random, 7, 12)], one_hot(random, 4, 12)


def translation(random):
    """nlp/lstm_seq2seq"""
    source, target = keras.Input((None, 11)), keras.Input((None, 13))
    _, h, c = L.LSTM(8, return_state=True)(source)
    y, _, _ = L.LSTM(8, return_sequences=True, return_state=True)(target, initial_state=[h, c])
    model = keras.Model([source, target], L.Dense(13, activation="softmax")(y))
    model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
    return model, [one_hot(random, 6, 11), one_hot(random, 8, 13)], one_hot(random, 8, 13)


def weather(random):
    """timeseries/timeseries_weather_forecasting"""
    x = keras.Input((12, 7))
    model = keras.Model(x, L.Dense(1)(L.LSTM(8)(x)))
    model.compile(optimizer=optimizers.Adam(learning_rate=0.001), loss="mse")
    return model, [floats(random, 12, 7)], floats(random, 1)


def anomaly(random):
    """timeseries/timeseries_anomaly_detection"""
    conv = lambda filters: L.Conv1D(filters, 7, padding="same", strides=2, activation="relu")
    back = lambda filters: L.Conv1DTranspose(filters, 7, padding="same", strides=2, activation="relu")
    model = keras.Sequential([
        keras.Input((16, 1)), conv(8), L.Dropout(rate=0.0), conv(4), back(4), L.Dropout(rate=0.0), back(8),
        L.Conv1DTranspose(1, 7, padding="same"),
    ])
    model.compile(optimizer=optimizers.Adam(learning_rate=0.001), loss="mse")
    x = floats(random, 16, 1)
    return model, [x], x


def classification(random):
    """timeseries/timeseries_classification_from_scratch"""
    x = y = keras.Input((20, 1))
    for _ in range(3):
        y = L.ReLU()(L.BatchNormalization()(L.Conv1D(8, 3, padding="same")(y)))
    y = L.GlobalAveragePooling1D()(y)
    model = keras.Model(x, L.Dense(2, activation="softmax")(y))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["sparse_categorical_accuracy"])
    return model, [floats(random, 20, 1)], random.integers(0, 2, BATCH * STEPS)


def transformer_classification(random):
    """timeseries/timeseries_classification_transformer"""
    x = y = keras.Input((20, 1))
    for _ in range(2):
        z = L.MultiHeadAttention(key_dim=6, num_heads=2, dropout=0.0)(y, y)
        z = L.LayerNormalization(epsilon=1e-6)(L.Dropout(0.0)(z))
        attended = z + y
        z = L.Conv1D(filters=4, kernel_size=1, activation="relu")(attended)
        z = L.Conv1D(filters=1, kernel_size=1)(L.Dropout(0.0)(z))
        y = L.LayerNormalization(epsilon=1e-6)(z) + attended
    y = L.GlobalAveragePooling1D(data_format="channels_last")(y)
    y = L.Dropout(0.0)(L.Dense(8, activation="relu")(y))
    model = keras.Model(x, L.Dense(3, activation="softmax")(y))
    adam = optimizers.Adam(learning_rate=1e-4)
    model.compile(loss="sparse_categorical_crossentropy", optimizer=adam)
    return model, [floats(random, 20, 1)], random.integers(0, 3, BATCH * STEPS)


def speech(random):
    """audio/ctc_asr"""
    x = keras.Input((None, 17))
    y = L.Reshape((-1, 17, 1))(x)
    for strides in [[2, 2], [1, 2]]:
        y = L.Conv2D(4, [5, 3], strides=strides, padding="same", use_bias=False)(y)
        y = L.ReLU()(L.BatchNormalization()(y))
    y = L.Reshape((-1, y.shape[-2] * y.shape[-1]))(y)
    for _ in range(2):
        inner = L.GRU(6, activation="tanh", recurrent_activation="sigmoid", use_bias=True,
                      return_sequences=True, reset_after=True)
        y = L.Dropout(rate=0.0)(L.Bidirectional(inner, merge_mode="concat")(y))
    y = L.Dropout(rate=0.0)(L.ReLU()(L.Dense(12)(y)))
    model = keras.Model(x, L.Dense(9)(y))
    model.compile(optimizer=optimizers.Adam(learning_rate=1e-4), loss=losses.CTC())
    return model, [floats(random, 24, 17)], padded(random, 5, below=9)


def captcha(random):
    """vision/captcha_ocr"""
    x = y = keras.Input((20, 8, 1))
    for filters in [4, 6]:
        y = L.Conv2D(filters, (3, 3), activation="relu", kernel_initializer="he_normal", padding="same")(y)
        y = L.MaxPooling2D((2, 2))(y)
    y = L.Reshape(target_shape=(5, 12))(y)
    y = L.Dropout(0.0)(L.Dense(8, activation="relu")(y))
    y = L.Bidirectional(L.LSTM(8, return_sequences=True, dropout=0.0))(y)
    y = L.Bidirectional(L.LSTM(4, return_sequences=True, dropout=0.0))(y)
    model = keras.Model(x, L.Dense(7)(y))
    model.compile(optimizer="adam", loss=losses.CTC())
    return model, [floats(random, 20, 8, 1)], padded(random, 2, below=7)


def films(random):
    """vision/conv_lstm"""
    x = y = keras.Input((None, 8, 8, 1))
    for filters, size in [(4, 5), (4, 3), (4, 1)]:
        y = L.ConvLSTM2D(filters=filters, kernel_size=(size, size), padding="same", return_sequences=True,
                         activation="relu")(y)
        y = L.BatchNormalization()(y) if size > 1 else y
    y = L.Conv3D(filters=1, kernel_size=(3, 3, 3), activation="sigmoid", padding="same")(y)
    model = keras.Model(x, y)
    model.compile(loss=losses.BinaryCrossentropy(), optimizer=optimizers.Adam())
    film = random.uniform(size=(BATCH * STEPS, 5, 8, 8, 1)).astype("float32")
    return model, [film], film.round()


def text_generation(random):
    """generative/lstm_character_level_text_generation"""
    model = keras.Sequential([keras.Input((10, 14)), L.LSTM(16), L.Dense(14, activation="softmax")])
    model.compile(loss="categorical_crossentropy", optimizer=optimizers.RMSprop(learning_rate=0.01))
    return model, [one_hot(random, 10, 14)], one_hot(random, 14)


def entities(random):
    """nlp/ner_transformers, whose positions are those of the padded sentence"""
    x = keras.Input((9,), dtype="int32")
    y = L.Embedding(30, 8)(x) + L.Embedding(9, 8)(ops.arange(9))
    attended = L.Dropout(0.0)(L.MultiHeadAttention(num_heads=2, key_dim=8)(y, y))
    y = L.LayerNormalization(epsilon=1e-6)(y + attended)
    forward = L.Dropout(0.0)(L.Dense(8)(L.Dense(16, activation="relu")(y)))
    y = L.LayerNormalization(epsilon=1e-6)(y + forward)
    y = L.Dropout(0.0)(L.Dense(16, activation="relu")(L.Dropout(0.0)(y)))
    model = keras.Model(x, L.Dense(5, activation="softmax")(y))
    loss = losses.SparseCategoricalCrossentropy(ignore_class=0)
    model.compile(optimizer=optimizers.SGD(0.1), loss=loss)
    return model, [padded(random, 9, below=30)], random.integers(0, 5, (BATCH * STEPS, 9))


def entities_recurrent(random):
    """The tagger of many tutorials: a masked bidirectional LSTM with a class for each word."""
    x = keras.Input((None,), dtype="int32")
    y = L.Embedding(30, 8, mask_zero=True)(x)
    y = L.Bidirectional(L.LSTM(6, return_sequences=True, recurrent_dropout=0.0))(y)
    model = keras.Model(x, L.TimeDistributed(L.Dense(5, activation="softmax"))(y))
    model.compile(optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, [padded(random, 9, below=30)], random.integers(0, 5, (BATCH * STEPS, 9))


def attention_translation(random):
    """The sequence to sequence model with attention of many tutorials, on padded sentences."""
    source, target = keras.Input((7,), dtype="int32"), keras.Input((6,), dtype="int32")
    encoded = L.Embedding(20, 8, mask_zero=True)(source)
    encoded, h, c = L.LSTM(8, return_sequences=True, return_state=True)(encoded)
    y = L.LSTM(8, return_sequences=True)(L.Embedding(25, 8, mask_zero=True)(target), initial_state=[h, c])
    context = L.Attention()([y, encoded])
    y = L.Dense(8, activation="tanh")(L.Concatenate()([context, y]))
    model = keras.Model([source, target], L.Dense(25, activation="softmax")(y))
    model.compile(optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    inputs = [padded(random, 7, below=20), padded(random, 6, below=25)]
    return model, inputs, random.integers(0, 25, (BATCH * STEPS, 6))


EXAMPLES = [
    sentiment, addition, translation, weather, anomaly, classification, transformer_classification, speech,
    captcha, films, text_generation, entities, entities_recurrent, attention_translation,
]


def write():
    for number, example in enumerate(EXAMPLES):
        keras.utils.set_random_seed(number)
        model, inputs, labels = example(np.random.default_rng(number))
        name = example.__name__
        model.save(FOLDER / f"{name}.keras")
        arrays = {f"input_{i}": x for i, x in enumerate(inputs)}
        arrays["labels"] = labels
        first = [x[:BATCH] for x in inputs]
        arrays["output"] = model(first, training=False).numpy()
        loss = model.evaluate(first, labels[:BATCH], batch_size=BATCH, verbose=0)
        arrays["loss"] = np.float32(loss[0] if isinstance(loss, list) else loss)
        model.fit(inputs, labels, batch_size=BATCH, shuffle=False, verbose=0)
        arrays["after"] = model(first, training=False).numpy()
        np.savez(FOLDER / f"{name}.npz", **arrays)


def check():
    for path in sorted(FOLDER.glob("*.ours.keras")):
        name = path.name.removesuffix(".ours.keras")
        arrays = np.load(FOLDER / f"{name}.npz")
        model = keras.models.load_model(path)
        inputs = [arrays[f"input_{i}"][:BATCH] for i in range(len(model.inputs))]
        worst = float(np.max(np.abs(model(inputs, training=False).numpy() - arrays["after"])))
        print(f"{name}: {worst:.1e}")
        assert worst <= TOLERANCE, name


check() if sys.argv[2:] == ["check"] else write()
print("Keras", keras.__version__)
