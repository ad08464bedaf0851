"""Reads the event files that the test `event_files` wrote with the real tensorboard package.

    check_tensorboard.py FOLDER
"""

import io
import math
import sys

from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "images": 0, "histograms": 0, "tensors": 0})
events.Reload()
tags = events.Tags()
print("tensorboard:", {kind: names for kind, names in tags.items() if names})

# A resumed run tells readers to drop what came after its position.
loss = [(event.step, event.value) for event in events.Scalars("loss")]
assert [step for step, _ in loss] == [1, 2, 3, 4, 5, 6], loss
right = [1, 1 / 2, 1 / 3, 40, 50, 60]
assert all(abs(value - want) < 1e-6 * want for (_, value), want in zip(loss, right)), loss
assert [event.step for event in events.Scalars("lr")] == [1, 2, 3]

first = EventAccumulator(sorted(__import__("pathlib").Path(sys.argv[1]).iterdir())[0].as_posix())
first.Reload()
assert first.Scalars("val_accuracy")[0].value == 0.75
assert math.isnan(first.Scalars("val_roc_auc")[0].value)

[grey], [rgb] = first.Images("grey"), first.Images("rgb")
assert (grey.step, grey.width, grey.height) == (4, 3, 2)
assert list(Image.open(io.BytesIO(grey.encoded_image_string)).tobytes()) == [0, 50, 100, 150, 200, 255]
assert list(Image.open(io.BytesIO(rgb.encoded_image_string)).tobytes()) == [255, 0, 0, 0, 0, 255]

[weights] = first.Histograms("weights")
value = weights.histogram_value
assert (value.min, value.max, value.num, value.sum) == (-2, 3, 7, 0.75), value
assert value.sum_squares == 4 + 0.25 + 0.0625 + 9, value
assert len(value.bucket) == len(value.bucket_limit) and sum(value.bucket) == 7
assert list(value.bucket_limit) == sorted(value.bucket_limit)
for low, high, count in zip([-math.inf, *value.bucket_limit], value.bucket_limit, value.bucket):
    inside = sum(low < x <= high for x in [-2, -0.5, 0, 0, 0.25, 1e-20, 3])
    assert inside == count, (low, high, count)
assert first.Histograms("nothing")[0].histogram_value.num == 0
print("tensorboard: scalars, images, histograms and a resumed run are what was written")
