"""Defects of the audit's instruments, and of what it says."""

from defects.defect import Defect, within

DEFECTS = [
    *within(
        "networks/surgery/padded_layers.py",
        "networks/surgery/test_padded_layers.py",
        Defect(
            "what a stride leaves over is forgotten",
            "used = left, right - unread[1], top, bottom - unread[0]",
            "used = left, right, top, bottom",
        ),
        Defect(
            "rows and columns are mistaken",
            "used = left, right - unread[1], top, bottom - unread[0]",
            "used = left, right - unread[0], top, bottom - unread[1]",
        ),
        Defect(
            "padding before a convolution is not its own",
            "        if func is functional.pad:\n",
            "        if False:\n",
        ),
        Defect("dilation is forgotten", "step * (side - 1) + 1", "side"),
        Defect(
            "only columns count", "return left == right and top == bottom", "return left == right"
        ),
        Defect(
            "sizes that are refused end the search",
            "(_UnevenError, *REFUSALS)",
            "_UnevenError",
        ),
    ),
    *within(
        "networks/surgery/running_layer.py",
        "networks/surgery/test_running_layer.py",
        Defect("layers that fail stay", "always_call=True", "always_call=False"),
    ),
    *within(
        "networks/surgery/observed.py",
        "networks/surgery/test_observed.py",
        Defect("the last run of a layer counts", "if name not in found:", "if True:"),
        Defect("the first of several tensors is taken", "if len(tensors) == 1:", "if tensors:"),
        Defect("hooks stay", "(partial(keep, name)).remove)", "(partial(keep, name)))"),
    ),
    *within(
        "networks/surgery/reach.py",
        "networks/surgery/test_reach.py",
        Defect(
            "decoders have the period of their output",
            "own = lcm(own, stride or 1)",
            "own = stride or 1",
        ),
        Defect(
            "networks that wrap have an end",
            "open_ends = bool(column[-1]) or bool(behind[name][0])",
            "open_ends = bool(column.all())",
        ),
        Defect(
            "large windows count as no end",
            "share = 0.0 if isinstance(module, WINDOWS) else max(shares, default=0.0)",
            "share = max(shares, default=0.0)",
        ),
        Defect("wide networks have no end", "width *= 2", "break"),
        Defect("attention is widened", "or strip.is_covered_at_once(width)", ""),
        Defect(
            "the smaller side is the margin",
            "return max(self.before, self.after)",
            "return min(self.before, self.after)",
        ),
    ),
    *within(
        "networks/surgery/image_statistics.py",
        "networks/surgery/test_image_statistics.py",
        Defect("tiles keep their own averages", "if self._next is None:", "if True:"),
        Defect("the variance is that of a sample", "correction=0", "correction=1"),
        Defect(
            "means over channels are global", "set(asked) in ROWS_AND_COLUMNS", "len(asked) == 2"
        ),
        Defect("running statistics are dropped", "if not use_input_stats:", "if False:"),
    ),
    *within(
        "measures/true_context.py",
        "measures/test_true_context.py",
        Defect(
            "the truth is shifted",
            "whole[name][:, :, start : start + rows",
            "whole[name][:, :, start + 1 : start + 1 + rows",
        ),
        Defect(
            "rounding tells a border",
            "large = np.abs(differences.mean(0)) > NOTHING",
            "large = np.abs(differences.mean(0)) >= 0",
        ),
        Defect("chances are not corrected", "false_discovery_control(chances) <", "chances <"),
        Defect("the first right ring ends the search", "int(wrong[-1]) + 1", "int(wrong[0]) + 1"),
    ),
    *within(
        "measures/tiles.py",
        "measures/test_tiles.py",
        Defect(
            "no number is no error",
            "torch.where(columns == 0, 0, columns / scale[:, None])",
            "torch.where(scale[:, None] > 0, columns / scale[:, None], 0)",
        ),
        Defect("the mean column counts", "return share.amax(1)", "return share.mean(1)"),
        Defect(
            "the right tile is shifted",
            "right[..., margin // stride :]",
            "right[..., margin // stride + 1 :]",
        ),
        Defect(
            "the first small error is enough",
            "else margins[wrong[-1] + 1]",
            "else margins[wrong[0] + 1]",
        ),
        Defect(
            "gaps count as no error",
            "torch.full((len(whole),), torch.inf",
            "torch.full((len(whole),), 0.0",
        ),
    ),
    *within(
        "measures/answers.py",
        "measures/test_answers.py",
        Defect(
            "turned the other way",
            "still.roll((middle - y, middle - x)",
            "still.roll((y - middle, x - middle)",
        ),
        Defect(
            "the mean is no worst case",
            "flat.amax(1) - flat.amin(1)",
            "flat.amax(1) - flat.mean(1)",
        ),
        Defect(
            "shifted forth, not back",
            "first = maps[0][:, :, moved:, moved:]",
            "first = maps[0][:, :, : -moved or None, : -moved or None]",
        ),
    ),
    *within(
        "networks/models/audited.py",
        "networks/models/test_audited.py",
        Defect("networks in training are audited", "        if training:\n", "        if False:\n"),
        Defect("weights that are not there are run", "        if empty:\n", "        if False:\n"),
        Defect("NaN is an answer", "if of_image.isnan().any():", "if False:"),
        Defect("each seed is tried", "_legal(self.of_any_seed(),", "_legal(self,"),
    ),
    *within(
        "experiments/audit/gates.py",
        "experiments/audit/test_gates.py",
        Defect(
            "the condition is turned around",
            "OPERATORS[self.relation](value, self.limit)",
            "OPERATORS[self.relation](self.limit, value)",
        ),
        Defect(
            "what nobody knows passes",
            "return isnan(value) or OPERATORS",
            "return not isnan(value) and OPERATORS",
        ),
    ),
    *within(
        "experiments/audit/numbers.py",
        "experiments/audit/test_numbers.py",
        Defect(
            "crops count as photographs",
            'of_place.groupby("photograph", sort=False).value.mean().to_numpy()',
            "of_place.value.to_numpy()",
        ),
    ),
    *within(
        "experiments/audit/verdict.py",
        "experiments/audit/test_verdict.py",
        Defect("higher is worse", "HIGHER: old - new", "HIGHER: new - old"),
        Defect("any schema will do", "if schema != SCHEMA:", "if schema is None:"),
    ),
    *within(
        "networks/surgery/blocks.py",
        "networks/models/test_audited.py -k afterwards",
        Defect(
            "a network that was looked at can be trained no more",
            "as hooks, torch.no_grad()",
            "as hooks, torch.inference_mode()",
        ),
    ),
    *within(
        "audit.py",
        "test_audit.py -k single_pixels",
        Defect("TF32 measures", "with true_float32():", "if True:"),
    ),
    *within(
        "audit_command.py",
        "integration/test_audit.py -k own",
        Defect("a failed audit passes", "FAILED if failed else PASSED", "PASSED"),
    ),
    *within(
        "experiments/audit/page.html.jinja",
        "integration/test_audit.py -k 'browser or one_file'",
        Defect(
            "the page may ask for anything",
            "default-src 'none'; img-src data:",
            "default-src *; img-src *",
        ),
    ),
]
