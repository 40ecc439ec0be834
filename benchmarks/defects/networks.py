"""Defects of networks: what is read of them, their padding, weights, permutations and devices."""

from defects.defect import Defect, within

DEFECTS = [
    *within(
        "networks/models/backbones.py",
        "networks/models/test_backbones.py",
        Defect(
            "positions none zeroes a copy",
            "parameter.data.zero_()",
            "parameter.data.clone().zero_()",
            tests="networks/models/test_backbones.py -k position",
        ),
        Defect(
            "positions of timm stay",
            '("pos_embedding", "pos_embed")',
            '("pos_embedding",)',
            tests="networks/models/test_backbones.py -k position",
        ),
        Defect("weights may learn", ".eval().requires_grad_(False)", ".eval()"),
        Defect(
            "colours of the training are forgotten",
            "Backbone(blocks, feature_size, normalisation, own)",
            "Backbone(blocks, feature_size, normalisation)",
            tests="networks/models/test_backbones.py -k colours",
        ),
        Defect(
            "rows beyond the image are not cut off",
            "beyond[index] if beyond else 0",
            "0",
            tests="networks/models/test_backbones.py -k beyond",
        ),
        Defect(
            "rows beyond the image are miscounted",
            "2 * small - large for",
            "large - small for",
            tests="networks/models/test_backbones.py -k beyond",
        ),
        Defect(
            "blocks from high to low",
            "torch.cat(list(maps.values()), dim=1)",
            "torch.cat(list(maps.values())[::-1], dim=1)",
            tests="networks/models/test_backbones.py -k before_pooling",
        ),
        Defect(
            "features larger than the image",
            "if feature_size > image_size:",
            "if feature_size > 2 * image_size:",
            tests="experiments/posenet/test_features.py -k refused",
        ),
        Defect(
            "the size of images is not checked",
            "        self.block_channels(image_size)\n",
            "",
            tests="experiments/posenet/test_features.py -k refused",
        ),
        Defect(
            "named layers are ignored",
            "repadded = repad(network, config.padding, config.padding_layers)\n    beyond",
            "repadded = repad(network, config.padding)\n    beyond",
            tests="experiments/posenet/test_features.py -k padded",
        ),
    ),
    *within(
        "networks/surgery/blocks.py",
        "networks/surgery/test_blocks.py networks/models/test_backbones.py",
        Defect(
            "blocks behind the pooling layers",
            'f"features.{index - 1}"',
            'f"features.{index}"',
            tests="networks/models/test_backbones.py -k before_pooling",
        ),
        Defect(
            "corners not aligned",
            'mode="bilinear", align_corners=True)',
            'mode="bilinear", align_corners=False)',
            tests="networks/models/test_backbones.py -k resized",
        ),
        Defect(
            "the class token for a patch",
            "tokens[:, count - side**2 :]",
            "tokens[:, : side**2]",
            tests="networks/surgery/test_blocks.py -k tokens",
        ),
        Defect(
            "grids of tokens transposed",
            "patches.transpose(1, 2).unflatten",
            "patches.unflatten(1, (side, side)).transpose(1, 2).flatten(1, 2).mT.unflatten",
            tests="networks/surgery/test_blocks.py -k tokens",
        ),
        Defect(
            "depths of a ViT from its first layer",
            "round(layers * part / DEPTHS) - 1",
            "round(layers * (part - 1) / DEPTHS)",
            tests="networks/surgery/test_blocks.py -k depths",
        ),
        Defect(
            "no stem in the paper's blocks",
            '(["relu"] if family is _resnet else [])',
            "[]",
            tests="networks/surgery/test_blocks.py -k stem",
        ),
        Defect(
            "layers that run twice are blocks",
            " and calls[name] == 1:",
            ":",
            tests="networks/surgery/test_blocks.py -k twice",
        ),
        Defect(
            "maps behind the global pool are a block",
            " and 1 < output.shape[2] == output.shape[3]",
            " and output.shape[2] == output.shape[3]",
            tests="networks/surgery/test_blocks.py -k family",
        ),
        Defect(
            "a Swin's maps as if channels came first",
            "return _family(arch) is _swin or getattr",
            "return getattr",
            tests="networks/surgery/test_blocks.py -k family",
        ),
    ),
    *within(
        "networks/surgery/block_reader.py",
        "networks/surgery/test_block_reader.py",
        Defect(
            "the last output of a layer that runs twice",
            "            if index in found:\n                return\n",
            "",
        ),
        Defect(
            "hooks stay",
            "hooks.callback(module.register_forward_hook(partial(keep, index)).remove)",
            "module.register_forward_hook(partial(keep, index))",
        ),
        Defect(
            "the network runs to its end",
            "                raise _AllFoundError\n",
            "                return\n",
        ),
        Defect("unpadded networks pass", "        require_padded(self.wrapped)\n", ""),
        Defect(
            "parts of an output by their place alone",
            "str(name): value for name, value in output.items()",
            "str(i): value for i, value in enumerate(output.values())",
        ),
        Defect("needed layers are dropped", "not any(tensor in needed", "not all(tensor in needed"),
    ),
    *within(
        "networks/surgery/padding_mode.py",
        "networks/surgery/test_padding_mode.py",
        Defect(
            "none keeps a max-pool's ceil_mode",
            "input, padding, ceil_mode = self._extended(input, edges), 0, False",
            "input, padding = self._extended(input, edges), 0",
            tests="networks/surgery/test_padding_mode.py -k ceil",
        ),
        Defect(
            "none keeps an average's ceil_mode",
            "            padding, ceil_mode = 0, False",
            "            padding = 0",
            tests="networks/surgery/test_padding_mode.py -k ceil",
        ),
        Defect(
            "pools stay as built",
            'any(edges) and self.kind not in ("zero", "partial"):  # padding',
            'any(edges) and self.kind == "none":  # padding',
        ),
        Defect(
            "padding is looked for without padding alone",
            'if self.kind != "zero":\n            self._hooks',
            'if self.kind == "none":\n            self._hooks',
        ),
        Defect(
            "nothing is looked for below the functions",
            "            self._hooks.enter_context(PaddingGuard(self._refuse_unseen))\n",
            "            pass\n",
        ),
        Defect(
            "a bias where no pixel is",
            "bias[:, None, None] * (inside > 0)",
            "bias[:, None, None]",
            tests="networks/surgery/test_padding.py -k partial_convolution",
        ),
        Defect(
            "the share of a window upside down",
            "torch.where(inside > 0, whole / inside, 0)",
            "torch.where(inside > 0, inside / whole, 0)",
            tests="networks/surgery/test_padding.py -k partial",
        ),
        Defect(
            "masks of padded maps are forgotten",
            '        if self.kind == "partial":\n            self._masks[padded]',
            '        if self.kind == "masked":\n            self._masks[padded]',
            tests="networks/surgery/test_padding.py -k partial",
        ),
        Defect(
            "a max-pool sees zeros that were padded before it",
            "            input = input.masked_fill(own == 0, -inf)\n",
            "            pass\n",
            tests="networks/surgery/test_padding.py -k partial",
        ),
        Defect(
            "reflections as large as the map",
            '{"reflect": 1, "circular": 0}',
            '{"reflect": 0, "circular": 0}',
        ),
        Defect(
            "left and top swapped",
            "left, right, top, bottom = [*pad, 0, 0][:4]",
            "top, bottom, left, right = [*pad, 0, 0][:4]",
        ),
        Defect(
            "other axes are padded in silence",
            "if input.ndim != 4 or any(pad[4:]):",
            "if input.ndim != 4:",
        ),
        Defect(
            "used-up branches are spread",
            "            if self._used_up and",
            "            if False and",
        ),
        Defect(
            "stale middles are read",
            "if self._left and any(m in self._left for m in maps):",
            "if False:",
        ),
        Defect(
            "named layers are ignored",
            "return not self.layers or is_within(self._layer.name, self.layers)",
            "return True",
        ),
        Defect(
            "refusals that TorchScript hides",
            "if self._refused is not None and error[1] is not self._refused:",
            "if False:",
        ),
    ),
    *within(
        "networks/surgery/running_layer.py",
        Defect(
            "layers of other threads are followed",
            "in self._names and get_ident() == self._thread:\n            self._running.append",
            "in self._names:\n            self._running.append",
        ),
    ),
    *within(
        "networks/surgery/padding_edges.py",
        "networks/surgery/test_padding_edges.py",
        Defect("same pads nothing", 'if padding == "valid":', "if isinstance(padding, str):"),
        Defect(
            "same is centred to the right",
            "added[1] // 2, added[1] - added[1] // 2, added",
            "added[1] - added[1] // 2, added[1] // 2, added",
        ),
        Defect(
            "windows beyond the map count",
            "if last >= side + padding:",
            "if last > side + padding:",
        ),
        Defect(
            "rows and columns swapped",
            "columns, columns + over[1], rows, rows + over[0]",
            "rows, rows + over[0], columns, columns + over[1]",
        ),
        Defect(
            "a pool without stride moves by a pixel", "pair(stride or kernel)", "pair(stride or 1)"
        ),
    ),
    *within(
        "networks/surgery/padding_guard.py",
        "networks/surgery/test_padding_mode.py -k 'refused or alone or operators'",
        Defect("pads of deformable convolutions", '"pad", "pad_h", "pad_w", ', '"pad", '),
        Defect(
            "ceil_mode is not looked at",
            'bool(settings.get("ceil_mode")) and _stands_out(settings)',
            "False",
        ),
        Defect(
            "transposed convolutions pass",
            "isinstance(weight, Tensor) and _windows_overlap(weight.shape[2:], settings)",
            "False",
        ),
        Defect("fold passes", '_windows_overlap(settings["kernel_size"], settings)', "False"),
        Defect("windows are not dilated", "dilation * (side - 1) + 1 > stride", "side > stride"),
        Defect("same passes", 'value == "same" or (isinstance', "(isinstance"),
        Defect("gradients are refused", 'if "backward" not in name and _pads', "if _pads"),
        Defect(
            "crops are padding",
            "isinstance(value, int) and value > 0",
            "isinstance(value, int) and value != 0",
        ),
    ),
    *within(
        "networks/surgery/padding.py",
        "networks/surgery/test_padding.py -k 'weights or built or nothing or says'",
        Defect("the network itself is changed", "copied = copy.deepcopy(model)", "copied = model"),
        Defect(
            "zero is as built",
            "copied if kind == AS_BUILT else",
            'copied if kind in (AS_BUILT, "zero") else',
        ),
        Defect("networks without padding pass", 'if kind != "zero" and not calls:', "if False:"),
        Defect(
            "layers that pad nothing pass",
            "if not any(is_within(call.layer, [layer]) for call in calls):",
            "if not calls:",
            tests="networks/surgery/test_padding_mode.py -k named",
        ),
    ),
    *within(
        "networks/surgery/layer_names.py",
        "networks/surgery/test_padding_mode.py -k named",
        Defect(
            "the beginning of a name is enough",
            'layer.startswith(f"{name}.")',
            "layer.startswith(name)",
        ),
    ),
    *within(
        "networks/surgery/branches.py",
        "networks/surgery/test_padding_mode.py -k 'branch or spread or middle'",
        Defect("cropped at the corner", "(maps.shape[axis] - side) // 2", "0"),
        Defect(
            "to the largest map",
            "min((m.shape[axis] for m in maps",
            "max((m.shape[axis] for m in maps",
        ),
        Defect(
            "cat by its axis' name",
            'kwargs.get("dim", kwargs.get("axis"',
            'kwargs.get("axis", kwargs.get("axis"',
        ),
        Defect("what is spread crops", "if m.shape[axis] > 1), default=1)", "), default=1)"),
    ),
    *within(
        "networks/surgery/permutation.py",
        "networks/surgery/test_permutation.py",
        Defect(
            "fixed is redrawn",
            "generator=torch.Generator().manual_seed(seed))",
            "generator=generator)",
        ),
        Defect(
            "off in evaluation",
            "self._draw(features, self._generator, self.seed)",
            "self._draw(features, self._generator, self.seed) if self.training else None",
        ),
        Defect(
            "another order for every sample",
            "torch.randperm(features.shape[1], generator=generator)",
            "torch.rand(features.shape[:2], generator=generator).argsort(dim=1)",
        ),
        Defect(
            "one order for all samples",
            "torch.rand(features.shape[:2], generator=generator)",
            "torch.rand(1, features.shape[1], generator=generator)",
        ),
        Defect(
            "orders are not stored",
            "return self._generator.get_state()",
            "return torch.Generator().get_state()",
        ),
        Defect(
            "orders drawn aside are not given back",
            "permutation.set_extra_state(state)\n",
            "permutation.get_extra_state()\n",
        ),
        Defect(
            "drawn from the global generator",
            "self._generator = torch.Generator()",
            "self._generator = torch.default_generator",
        ),
    ),
    *within(
        "networks/models/pooled_classifiers.py",
        "networks/models/test_pooled_classifiers.py",
        Defect(
            "the largest place, not the mean",
            "self.head(self.last_maps(images)).mean((2, 3))",
            "self.head(self.last_maps(images)).amax((2, 3))",
        ),
        Defect("heads follow no seed", "torch.manual_seed(_drawn(seed))", "torch.manual_seed(0)"),
        Defect(
            "GAPNet's head keeps its padding",
            "GAPNet(trunk, repad(head, config.padding))",
            "GAPNet(trunk, head)",
        ),
        Defect(
            "permuted before another stage",
            "[config.permuted_before - 1]",
            "[config.permuted_before % 4]",
        ),
        Defect(
            "permuted twice",
            'ChannelPermutation("none", 0) if config.permuted_before else permutation',
            "permutation",
        ),
        Defect(
            "permutations follow no seed",
            "ChannelPermutation(config.permutation, _drawn(seed))",
            "ChannelPermutation(config.permutation, 0)",
        ),
        Defect("backbones follow no seed", '"untrained", seed)', '"untrained", 0)'),
        Defect(
            "the backbone keeps its padding",
            "    repadded = repad(network, config.padding)\n",
            '    repadded = repad(network, "as_built")\n',
        ),
        Defect(
            "built in evaluation mode",
            "channels, classes, seed).train()",
            "channels, classes, seed).eval()",
        ),
        Defect(
            "PermuteNet does not permute",
            "self.head(self.permutation(self.last_maps(images).mean((2, 3))))",
            "self.head(self.last_maps(images).mean((2, 3)))",
        ),
    ),
    *within(
        "networks/models/shift_invariant.py",
        "networks/models/test_shift_invariant.py",
        Defect(
            "ordinary padding for full", "tuple(side - 1 for side in", "tuple(side // 2 for side in"
        ),
        Defect(
            "the strided convolution keeps its stride", "        block.conv1.stride = (1, 1)\n", ""
        ),
        Defect(
            "the shortcut is not blurred",
            "block.downsample.every_other = BlurPool2d(block.conv1.in_channels, stride=STRIDED)",
            "assert block.downsample.every_other",
        ),
        Defect(
            "no mark of full padding",
            '    network.register_buffer("padded_fully", torch.tensor(True))\n',
            "",
            tests="networks/models/test_weights.py -k full_padding",
        ),
    ),
    *within(
        "networks/models/resnet18.py",
        "networks/models/test_resnet18.py",
        Defect(
            "shortcuts before the first stride",
            "] = (1, 2, 2, 2)\n) -> nn",
            "] = (2, 2, 2, 2)\n) -> nn",
        ),
        Defect(
            "the same in networks with a max-pool",
            "] = (1, 2, 2, 2)\n) -> list",
            "] = (2, 2, 2, 2)\n) -> list",
            tests="networks/models/test_narrow_networks.py",
        ),
        Defect("the shortcut averages", "nn.AvgPool2d(1, stride)", "nn.AvgPool2d(2, stride)"),
        Defect("three blocks in a stage", "BLOCKS_PER_STAGE = 2", "BLOCKS_PER_STAGE = 3"),
    ),
    *within(
        "networks/models/weights.py",
        "networks/models/test_weights.py",
        Defect(
            "untrained weights follow no seed", "torch.manual_seed(seed)", "torch.manual_seed(0)"
        ),
        Defect(
            "the global generator is used up",
            "with torch.random.fork_rng(devices=[]):\n        torch.manual_seed(seed)",
            "if True:\n        torch.manual_seed(seed)",
        ),
        Defect(
            "hidden buffers are not initialised",
            "if hidden or is_custom(arch):",
            "if is_custom(arch):",
        ),
        Defect(
            "files by their names, not their content",
            "return file_key(Path(weights), setting)",
            "return weights",
        ),
        Defect(
            "colours of a file are forgotten",
            "return pretrained_colours(arch) if stored is None and is_timm(arch) else stored",
            "return pretrained_colours(arch) if is_timm(arch) else None",
        ),
        Defect(
            "ImageNet's weights have one key", "key=lambda arch: imagenet_release(arch).url,", ""
        ),
        Defect("embedded weights for any network", "if arch != weights.arch:", "if False:"),
    ),
    *within(
        "networks/models/downloaded_weights.py",
        "networks/models/test_downloaded_weights.py networks/models/test_weights.py"
        " -k 'release or had or keys'",
        Defect("another release of ImageNet's weights", '"IMAGENET1K_V1"', '"IMAGENET1K_V2"'),
        Defect("downloads are not checked", "check_hash=True", "check_hash=False"),
        Defect(
            "mean and deviation swapped",
            '_configured(arch, "mean"), _configured(arch, "std")',
            '_configured(arch, "std"), _configured(arch, "mean")',
            tests="networks/models/test_weights.py -k colours",
        ),
        Defect("tags share a key", "{pretrained_address(arch)} {_configured(arch, 'tag')}", "timm"),
    ),
    *within(
        "networks/models/state_file.py",
        "networks/models/test_weights.py",
        Defect(
            "half precision stays half",
            "tensor.float() if tensor.is_floating_point() else tensor",
            "tensor",
            tests="networks/models/test_weights.py -k legacy",
        ),
        Defect(
            "the prefix of DataParallel stays",
            'PREFIXES = ("module.", "model.",',
            'PREFIXES = ("model.",',
            tests="networks/models/test_weights.py -k prefix",
        ),
        Defect(
            "missing tensors pass",
            "for name in needed - state.keys() if not name.endswith(COUNTER)",
            "for name in set()",
            tests="networks/models/test_weights.py -k 'misfit or apart'",
        ),
        Defect(
            "unknown tensors pass",
            '"unexpected": sorted(state.keys() - expected.keys())',
            '"unexpected": []',
            tests="networks/models/test_weights.py -k misfit",
        ),
        Defect(
            "a misshapen classifier is loaded",
            "        if name not in misshapen\n",
            "",
            tests="networks/models/test_weights.py -k other_classes",
        ),
        Defect(
            "full padding is not told apart",
            "    needed |= {name for name in expected if name.endswith(FULLY_PADDED)}",
            "    needed |= set()",
            tests="networks/models/test_weights.py -k full_padding",
        ),
        Defect(
            "colours of other files",
            'if path.suffix != ".safetensors":',
            'if path.suffix == ".safetensors":',
            tests="networks/models/test_weights.py -k colours",
        ),
    ),
    *within(
        "networks/models/hed.py",
        "networks/models/test_hed.py",
        Defect(
            "blue for red",
            '["features.0.weight"].double().flip(1)',
            '["features.0.weight"].double()',
        ),
        Defect("the mean added", "255 * mean - subtracted", "255 * mean + subtracted"),
        Defect(
            "kernels not transposed", "kernel.permute(3, 2, 0, 1)", "kernel.permute(3, 2, 1, 0)"
        ),
    ),
    *within(
        "networks/models/efficientnet_lite.py",
        "networks/models/test_efficientnet_lite.py",
        Defect(
            "ImageNet's colours", "MEAN, STD = 127 / 255, 128 / 255", "MEAN, STD = 0.449, 0.226"
        ),
        Defect(
            "tensors in another order",
            "zip(expected, stored.values(), strict=True)",
            "zip(expected, [*stored.values()][::-1], strict=True)",
        ),
    ),
    *within(
        "networks/models/normalisation.py",
        "networks/models/test_normalisation.py",
        Defect(
            "own colours where none is asked for",
            'own if own and kind == "imagenet" else',
            "own if own else",
        ),
        Defect("the mean is not divided", ".sub_(mean / std)", ".sub_(mean)"),
        Defect("deviations of 0..255", "1 / (255 * std)", "1 / std"),
    ),
    *within(
        "networks/readouts/features.py",
        "networks/readouts/test_features.py",
        Defect(
            "infinite features pass",
            "if not np.isfinite(features).all():",
            "if np.isnan(features).any():",
        ),
        Defect(
            "channels first",
            "features.to(torch.float16).permute(0, 2, 3, 1)",
            "features.to(torch.float16).permute(0, 3, 2, 1)",
        ),
        Defect(
            "always in float32", "backbone.to(work.device, work.dtype)", "backbone.to(work.device)"
        ),
    ),
    *within(
        "networks/readouts/feature_array.py",
        "networks/readouts/test_feature_array.py",
        Defect(
            "a block begins where it ends",
            "(ends[block] - channels[block], ends[block])",
            "(ends[block], ends[block] + channels[block])",
        ),
        Defect(
            "a view of the file",
            "np.array(parts[0]) if isinstance(images, slice) else parts[0]",
            "parts[0]",
        ),
        Defect(
            "the first images for the chosen ones",
            "images if self._images is None else self._images[images]",
            "images",
        ),
    ),
    *within(
        "networks/models/whole_network.py",
        "networks/models/test_whole_network.py",
        Defect(
            "rows and columns swapped",
            "for y, x in [(y, x) for y in offsets",
            "for x, y in [(y, x) for y in offsets",
        ),
        Defect("own colours are forgotten", '"imagenet", own)', '"imagenet")'),
        Defect(
            "named layers are ignored",
            "network = repad(network, config.padding, config.padding_layers)",
            "network = repad(network, config.padding)",
        ),
        Defect(
            "seeds are ignored",
            "load_network(config.arch, config.weights, config.seed)",
            "load_network(config.arch, config.weights)",
        ),
        Defect(
            "embedded weights without a classifier pass",
            "and not EMBEDDED[self.weights].classifies",
            "and False",
        ),
    ),
    *within(
        "networks/training/devices.py",
        "networks/training/test_devices.py",
        Defect("auto takes the CPU", '"cuda" if torch.cuda.is_available() else "cpu"', '"cpu"'),
        Defect("auto passes MPS over", '"mps" if kind == "cpu" and', '"mps" if kind == "mps" and'),
        Defect(
            "bfloat16 wherever it is slow",
            "torch.bfloat16 if fast else torch.float32",
            "torch.bfloat16",
        ),
        Defect(
            "emulated bfloat16",
            "is_bf16_supported(including_emulation=False)",
            "is_bf16_supported()",
        ),
        Defect(
            "every process takes all threads",
            "torch.get_num_threads() // self.n_jobs",
            "torch.get_num_threads()",
            tests="pipelines/test_runner.py -k threads_are_shared",
        ),
    ),
    *within(
        "networks/surgery/legal_size.py",
        "networks/surgery/test_legal_size.py",
        Defect(
            "a size too large by one",
            "while legal_size - illegal_size > 1:",
            "while legal_size - illegal_size > 2:",
        ),
    ),
    *within(
        "networks/models/architectures.py",
        "networks/models/test_architectures.py",
        Defect(
            "networks in training mode",
            "timm.create_model(arch.removeprefix(TIMM)).eval()",
            "timm.create_model(arch.removeprefix(TIMM))",
        ),
        Defect("widths are ignored", "(OWN[name](width) if width else OWN[name]())", "OWN[name]()"),
        Defect("sketches take memory", 'with torch.device("meta"):', "if arch:"),
        Defect("widths of any network", "(width is None or name in OWN)", "True"),
    ),
    *within(
        "networks/surgery/wrapper.py",
        "networks/surgery/test_wrapper.py",
        Defect(
            "wrapped networks are trained",
            "self.training = network.training",
            "self.training = True",
        ),
        Defect(
            "names begin with the wrapper's",
            "    for name in [name for name in state if name.startswith(prefix + PREFIX)]:",
            "    for name in []:",
        ),
        Defect(
            "replaced layers are not run",
            "            setattr(network, name, value)\n",
            "            super().__setattr__(name, value)\n",
        ),
    ),
    *within(
        "networks/surgery/dry_run.py",
        "networks/surgery/test_dry_run.py",
        Defect(
            "the global generator is used up",
            "with torch.inference_mode(), torch.random.fork_rng(devices=[]):",
            "with torch.inference_mode():",
        ),
    ),
    *within(
        "networks/models/trained_file.py",
        "networks/models/test_trained_file.py",
        Defect(
            "mean and deviation swapped",
            "{**weights, MEAN: mean, STD: std}",
            "{**weights, MEAN: std, STD: mean}",
        ),
        Defect(
            "classifiers are weights of the backbone", "        if name.startswith(BACKBONES)\n", ""
        ),
    ),
]
