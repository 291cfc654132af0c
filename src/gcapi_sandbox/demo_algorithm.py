"""The demo algorithm: computes the mean intensity of an image and thresholds the image at it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gcapi_sandbox._imaging.simpleitk import load_sitk

if TYPE_CHECKING:
    from pathlib import Path


def run(input_directory: Path, output_directory: Path) -> None:
    """Write the mean intensity and the thresholded image of the one input image."""
    sitk = load_sitk()
    (path,) = (input_directory / "images" / "generic-medical-image").glob("*.mha")
    image = sitk.ReadImage(str(path))
    if image.GetNumberOfComponentsPerPixel() > 1:
        image = sitk.VectorMagnitude(image)
    statistics = sitk.StatisticsImageFilter()
    statistics.Execute(image)
    mean = statistics.GetMean()
    (output_directory / "mean-intensity.json").write_text(json.dumps(mean))
    folder = output_directory / "images" / "thresholded-image"
    folder.mkdir(parents=True)
    brighter = sitk.Cast(sitk.Cast(image, sitk.sitkFloat64) > mean, sitk.sitkUInt8)
    sitk.WriteImage(brighter, str(folder / "thresholded.mha"), useCompression=True)
