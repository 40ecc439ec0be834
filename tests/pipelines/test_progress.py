from posinfo.pipelines.progress import progress_bar


def test_bar_is_silent_without_a_terminal(capsys):
    with progress_bar("images", 3) as advance:
        for _ in range(3):
            advance(1)
    assert capsys.readouterr().out == ""
