"""The cases of a tree of files.

A folder with images is a case, and so is a folder whose subfolders hold the parts of one (``sub-01/anat``,
``P001/ct``); a folder of such folders (``batch 2/P020``) is not. ``imagesTr`` and ``labelsTr`` beside each other hold
one file for each case. Of files that are in no folder of a case, those of one name are a case, and so is each DICOM
series.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gcapi.bulk._guess.file_groups import DICOM, IMAGE, SEGMENTATION, FileGroup
from gcapi.bulk._guess.file_tree import Folder, LeftOutList

_SPLITS = r"(?:[-_]?(tr|ts|te|va|val|train|training|test|testing|validation))?"
_IMAGE_FOLDER = re.compile(rf"images?{_SPLITS}", re.IGNORECASE)
_LABEL_FOLDER = re.compile(rf"(?:labels?|masks?|segmentations?){_SPLITS}", re.IGNORECASE)
#: The number of the channel at the end of an image's name in the layout of nnU-Net.
_CHANNEL = re.compile(r"_(\d{4})")
#: Folders that hold a part of a case, rather than a case.
_PART_FOLDER = re.compile(
    r"anat|func|dwi|fmap|perf|pet|ct|cta|mri?|t1\w*|t2\w*|flair|dicoms?|nifti|scans?|series\W*\d*|ses-\w+"
    rf"|{_IMAGE_FOLDER.pattern}|{_LABEL_FOLDER.pattern}",
    re.IGNORECASE,
)
#: The end of the name of a file that belongs to the image of the name before it.
_LABEL_END = re.compile(r"[-_. ](d?seg|segmentation|mask|labels?|gt)(?=$|[-_. ])", re.IGNORECASE)

_NO_NAMES: Mapping[str, int] = {}


@dataclass(frozen=True)
class LabelledFiles:
    """A value of a case.

    Attributes:
        group: Its files.
        label: What its name says beside the case's name, such as ``T1w``; empty for nothing.
    """

    group: FileGroup
    label: str = ""


@dataclass
class FolderCase:
    """A case.

    Attributes:
        title: Its title, which other cases may have too.
        place: Its folder, or that of its files.
        values: Its values.
    """

    title: str
    place: Path
    values: list[LabelledFiles] = field(default_factory=list[LabelledFiles])


class CaseFinder:
    """Finds the cases of a tree.

    Args:
        tree: The tree.
        groups: All values that its files make.
        left_out: Gets the files that belong to no case.
    """

    def __init__(self, tree: Folder, groups: Sequence[FileGroup], left_out: LeftOutList) -> None:
        self._tree = tree
        self._left_out = left_out
        self._has_images = any(group.is_image for group in groups)
        self._in_folder: dict[Path, list[FileGroup]] = defaultdict(list)
        for group in groups:
            self._in_folder[group.folder].append(group)

    def find(self) -> list[FolderCase]:
        """Return the cases, with titles that differ, in the order of their places and titles."""
        cases: list[FolderCase] = []
        for case in self._in_container(self._tree):
            if self._has_images and not any(value.group.is_image for value in case.values):
                files = [path for value in case.values for path in value.group.files]
                self._left_out.add_all(files, "its folder has no image, and others have")
            else:
                cases.append(case)
        counts = Counter(case.title for case in cases)
        for case in cases:
            if counts[case.title] > 1:
                parts = case.place.relative_to(self._tree.path).parts
                outer = parts[:-1] if parts and parts[-1] == case.title else parts
                case.title = "-".join((*outer, case.title))
        return sorted(cases, key=lambda case: (case.place, case.title))

    def _groups_below(self, folder: Folder) -> list[FileGroup]:
        return [group for each in folder.walk() for group in self._in_folder[each.path]]

    # ---------------------------------------------------------------- folders

    def _in_container(
        self, folder: Folder, names: Mapping[str, int] = _NO_NAMES
    ) -> Iterator[FolderCase]:
        """Yield the cases in a folder that is not a case itself; for `names` see `_is_container`."""
        split = {each.path: each for each in self._split_folders(folder, names)}
        cases = _cases_of_split(split.values(), self._in_folder)
        others = [inner for each in split.values() for inner in each.folders]
        others += [each for each in folder.folders if each.path not in split]
        names = Counter(inner.name for each in others for inner in each.folders)
        for each in others:
            if self._is_container(each, names):
                cases += self._in_container(each, names)
            elif groups := self._groups_below(each):
                cases.append(_case_of_folder(each, groups))
        yield from self._add_loose(folder, cases)

    def _split_folders(self, folder: Folder, names: Mapping[str, int]) -> list[Folder]:
        """Return the subfolders that hold one file for each case; for `names` see `_is_container`."""
        found: list[Folder] = []
        has_images = False
        for each in folder.folders:
            images = _IMAGE_FOLDER.fullmatch(each.name)
            match = images or _LABEL_FOLDER.fullmatch(each.name)
            # Folders such as P001/images, P002/images hold the parts of cases.
            is_split = match and (match[1] or names.get(each.name, 0) <= 1)
            if is_split and any(group.is_image for group in self._in_folder[each.path]):
                found.append(each)
                has_images |= bool(images)
        return found if has_images and (len(found) > 1 or folder is self._tree) else []

    def _is_container(self, folder: Folder, names: Mapping[str, int]) -> bool:
        """Return whether a folder holds cases, rather than being one.

        Args:
            folder: The folder.
            names: How often each name occurs among the subfolders of the folder and of those beside it.
        """
        if any(group.is_image for group in self._in_folder[folder.path]):
            return False
        if self._split_folders(folder, names):
            return True
        filled = [(each, groups) for each in folder.folders if (groups := self._groups_below(each))]
        inner = [each.name for each, _ in filled]
        groups = [group for _, groups in filled for group in groups]
        if (
            not filled
            or any(names[name] > 1 or _PART_FOLDER.fullmatch(name) for name in inner)
            or any(group.stem.startswith(f"{folder.name}_") for group in groups)
        ):
            return False
        if all(group.kind == DICOM for group in groups):
            # The series of one study are one case.
            studies = [{group.study for group in of_one} - {""} for _, of_one in filled]
            return len(filled) > 1 and len(set[str]().union(*studies)) >= len(filled)
        return True

    # ---------------------------------------------------------------- files beside the folders of cases

    def _add_loose(self, folder: Folder, cases: list[FolderCase]) -> list[FolderCase]:
        """Return cases and those that the files in their folder make; other files go to the case of their name."""
        groups = self._in_folder[folder.path]
        series = [group for group in groups if group.kind == DICOM]
        for number, group in enumerate(series, start=1):
            title = folder.name if len(series) == 1 else f"{folder.name}-{number}"
            if len(group.files) == 1:
                title = group.stem
            cases.append(FolderCase(title, folder.path, [LabelledFiles(group)]))
        others = [group for group in groups if group.kind != DICOM]
        stems = {group.stem for group in others}
        by_title: dict[str, list[LabelledFiles]] = defaultdict(list)
        for group in others:
            title, label = _split_label(group.stem, stems)
            by_title[title].append(_labelled(group, label))
        known = {case.title: case for case in cases}
        for title, values in by_title.items():
            if title in known:
                known[title].values += values
            elif not self._has_images or any(value.group.is_image for value in values):
                cases.append(FolderCase(title, folder.path, values))
            else:
                files = [path for value in values for path in value.group.files]
                self._left_out.add_all(files, "there is no image or case of its name")
        return cases


def _case_of_folder(folder: Folder, groups: Iterable[FileGroup]) -> FolderCase:
    values: list[LabelledFiles] = []
    for group in _merged_series(groups):
        inner = group.folder.relative_to(folder.path).parts
        label = group.stem
        if group.kind == DICOM:
            label = ""
        elif re.match(rf"{re.escape(folder.name)}(?:[-_. ]|$)", label, re.IGNORECASE):
            label = label[len(folder.name) :].strip("-_. ")
        place = "" if not inner else inner[-1]
        values.append(_labelled(group, label or place, place))
    return FolderCase(folder.name, folder.path, _distinct(values))


def _distinct(values: list[LabelledFiles]) -> list[LabelledFiles]:
    """Return values in which those with the same label have the name of their folder in it, too."""
    counts = Counter((value.group.kind, value.label) for value in values)
    return [
        replace(value, label=f"{value.group.folder.name}-{value.label}")
        if counts[value.group.kind, value.label] > 1 and value.label != value.group.folder.name
        else value
        for value in values
    ]


def _merged_series(groups: Iterable[FileGroup]) -> Iterator[FileGroup]:
    """Yield the values of one case; the files of a series may be in several of its folders."""
    series: dict[str, list[FileGroup]] = defaultdict(list)
    for group in groups:
        if group.kind == DICOM and group.series:
            series[group.series].append(group)
        else:
            yield group
    for parts in series.values():
        yield replace(parts[0], files=tuple(path for part in parts for path in part.files))


def _split_label(stem: str, stems: Iterable[str]) -> tuple[str, str]:
    """Return the title and the label of a file: ``p1_seg`` belongs to ``p1`` if there is such a file."""
    for match in _LABEL_END.finditer(stem):
        if match.end() == len(stem) and stem[: match.start()] in stems:
            return stem[: match.start()], match[1]
    return stem, ""


def _labelled(group: FileGroup, label: str, place: str = "") -> LabelledFiles:
    """Return a value; an image that is called, or is in a folder that is called, like a label is a segmentation."""
    is_label = _LABEL_END.search(f"_{label}") or _LABEL_FOLDER.fullmatch(place)
    if group.kind == IMAGE and is_label:
        group = replace(group, kind=SEGMENTATION)
    return LabelledFiles(group, label)


def _cases_of_split(
    folders: Iterable[Folder], in_folder: Mapping[Path, Sequence[FileGroup]]
) -> list[FolderCase]:
    """Return the cases of folders such as ``imagesTr`` and ``labelsTr``, by the names of their files."""
    cases: dict[tuple[str, str], FolderCase] = {}
    for folder in folders:
        images = _IMAGE_FOLDER.fullmatch(folder.name)
        match = images or _LABEL_FOLDER.fullmatch(folder.name)
        split = ((match and match[1]) or "").lower()
        for group in in_folder[folder.path]:
            title, label = group.stem, "" if images else "label"
            channel = _CHANNEL.search(title[-5:]) if images and split else None
            if channel:
                title, label = title[:-5], "" if channel[1] == "0000" else channel[1]
            case = cases.setdefault((split, title), FolderCase(title, folder.path))
            case.values.append(_labelled(group, label))
    return list(cases.values())
