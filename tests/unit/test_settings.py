import pytest

from xlrec.config.loading import load_config
from xlrec.config.models import Config
from xlrec.errors import ConfigError

SMALLEST = """
lake: lake
inputs:
  catalog: data/catalog
  interactions: data/interactions
  users: data/users        # optional
k: 10
"""


@pytest.fixture
def smallest(tmp_path):
    path = tmp_path / "smallest.yaml"
    path.write_text(SMALLEST)
    return str(path)


def test_the_smallest_config_is_enough(smallest):
    config = load_config(smallest, env={})
    assert config.k == 10
    assert config.inputs.users == "data/users"


def test_an_override_wins_over_the_environment_and_that_over_the_file(smallest):
    env = {"XLREC__K": "7", "XLREC__RANK__DIVERSITY": "0.5", "OTHER": "x"}
    assert load_config(smallest, env=env).k == 7
    config = load_config(smallest, ["k=3", "rank.weights.popular=0.25"], env)
    assert (config.k, config.rank.diversity, config.rank.weights.popular) == (3, 0.5, 0.25)


def test_lists_and_maps_are_read_as_yaml(smallest):
    config = load_config(smallest, ["evaluate.cutoffs=[1, 10]", "prepare.event_weights={view: 0, buy: 5}"], {})
    assert config.evaluate.cutoffs == (1, 10)
    assert config.prepare.event_weights == {"view": 0.0, "buy": 5.0}


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("rank.diversty=0.2", "unknown key rank.diversty: did you mean diversity? known here: calibration"),
        ("train.covisitation.windw=1", "unknown key train.covisitation.windw"),
        ("kk=1", "unknown key kk"),
        ("rank.diversity=2", "rank.diversity is 2"),
        ("rank.languages=some", "rank.languages is 'some'"),
        ("k=0", "k is 0"),
        ("retrieve.candidates=5", "retrieve.candidates is 5, less than k = 10"),
        ("k.x=1", "k is a value, not a section"),
        ("diversity", "not of the form section.key=value"),
    ],
)
def test_what_is_wrong_is_named_in_one_line_with_its_path(smallest, override, said):
    with pytest.raises(ConfigError) as caught:
        load_config(smallest, [override], {})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_key_or_file_is_named(tmp_path):
    (tmp_path / "empty.yaml").write_text("k: 3\n")
    with pytest.raises(ConfigError, match=r"lake is missing.*inputs is missing"):
        load_config(str(tmp_path / "empty.yaml"), env={})
    with pytest.raises(ConfigError, match="there is no config file"):
        load_config(str(tmp_path / "none.yaml"), env={})
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="is not YAML"):
        load_config(str(tmp_path / "bad.yaml"), env={})
    (tmp_path / "list.yaml").write_text("- a")
    with pytest.raises(ConfigError, match="holds a list"):
        load_config(str(tmp_path / "list.yaml"), env={})


def test_every_field_of_the_config_has_a_docstring_and_values_cannot_change(smallest):
    def undocumented(model, path=()):
        for name, field in model.model_fields.items():
            kind = field.annotation
            if isinstance(kind, type) and hasattr(kind, "model_fields"):
                yield from undocumented(kind, (*path, name))
            elif not field.description:
                yield ".".join((*path, name))

    assert list(undocumented(Config)) == []
    with pytest.raises(ValueError, match="frozen"):
        load_config(smallest, env={}).k = 3
