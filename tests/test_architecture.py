from wordgen.architecture import Architecture, NetworkSettings


def test_the_source_reports_network_has_the_known_size():
    """3 x 512 LSTM over 10,000 words: 5.12 M for the word vectors, 2.1 M a layer, 5.13 M for the output."""
    architecture = Architecture.of(NetworkSettings(), 10_000)
    assert architecture.parameters == 10_000 * 512 + 3 * 4 * 512 * (1024 + 1) + (512 + 1) * 10_000


def test_a_tied_output_has_only_a_bias_of_its_own():
    shapes = Architecture.of(NetworkSettings(tied=True), 100).weight_shapes()
    assert "output/kernel" not in shapes
    assert "projection/kernel" not in shapes
    assert shapes["output/bias"] == (100,)


def test_a_tied_output_of_another_width_is_projected():
    shapes = Architecture.of(NetworkSettings(tied=True, embedding=32, units=64), 100).weight_shapes()
    assert shapes["projection/kernel"] == (64, 32)
