"""Changes of training images: exact where they can be known, and drawn as the paper says."""

import math

import pytest
import torch

from raysweep.estimators.noise import Noise
from raysweep.tasks.data import vision
from raysweep.tasks.images.augmentation import (
    PADDING,
    augment,
    draw_crop,
    draw_move,
    flip_and_crop,
    move,
)


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(6, 3, 8, 8, generator=generator, dtype=torch.float64)


def moved(images, x=0.0, y=0.0, angle=0.0):
    shift = torch.tensor([[x, y]], dtype=images.dtype).expand(len(images), -1)
    return move(images, shift, torch.full((len(images),), angle, dtype=images.dtype))


def test_no_shift_and_no_angle_is_no_change(images):
    torch.testing.assert_close(moved(images), images)


@pytest.mark.parametrize(("columns", "rows"), [(2, 0), (-1, 0), (0, 3), (1, -2)])
def test_a_shift_by_whole_pixels_moves_them_and_leaves_black(images, columns, rows):
    expected = torch.zeros_like(images)
    for row in range(8):
        for column in range(8):
            if 0 <= row - rows < 8 and 0 <= column - columns < 8:
                expected[..., row, column] = images[..., row - rows, column - columns]
    torch.testing.assert_close(moved(images, columns / 8, rows / 8), expected)


def test_a_shift_by_half_a_pixel_is_the_mean_of_neighbours(images):
    expected = (images[..., 1:] + images[..., :-1]) / 2
    torch.testing.assert_close(moved(images, 0.5 / 8)[..., 1:], expected)


def test_a_quarter_turn_is_exact_and_clockwise(images):
    torch.testing.assert_close(moved(images, angle=math.pi / 2), images.rot90(-1, (-2, -1)))


def test_pixels_of_images_of_unequal_sides_are_turned_about_the_centre(images):
    wide = images[:1, :, :4]  # 4 x 8: a half turn is exact
    torch.testing.assert_close(moved(wide, angle=math.pi), wide.flip((-2, -1)))
    turned = moved(wide, angle=math.pi / 2)  # the middle square is turned, the rest is black
    torch.testing.assert_close(turned[..., 2:6], wide[..., 2:6].rot90(-1, (-2, -1)))
    assert turned[..., [0, 7]].abs().max() < 1e-12


def test_images_are_moved_as_torchvision_moves_them(images):
    vision.datasets()
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.functional import affine

    for columns, rows, degrees in ((1, 0, 7.0), (-2, 1, -10.0), (0, 0, 3.3)):
        expected = affine(
            images, degrees, [columns, rows], 1.0, [0.0], interpolation=InterpolationMode.BILINEAR
        )
        result = moved(images, columns / 8, rows / 8, math.radians(degrees))
        torch.testing.assert_close(result, expected, rtol=1e-6, atol=1e-6)


def test_shifts_and_angles_cover_their_ranges_evenly():
    uniform = torch.rand(20_000, 3, generator=torch.Generator().manual_seed(0))
    shift, angle = draw_move(uniform)
    for values, most in ((shift, 0.05), (angle, math.radians(10))):
        assert values.abs().max() <= most
        assert values.abs().max() > 0.99 * most
        assert abs(values.mean()) < 0.02 * most
        assert abs(values.var() / (most**2 / 3) - 1) < 0.03


@pytest.mark.parametrize("is_mirrored", [False, True])
@pytest.mark.parametrize(("row", "column"), [(4, 4), (0, 8), (7, 3)])
def test_a_crop_is_a_part_of_the_padded_image(images, is_mirrored, row, column):
    source = images.flip(-1) if is_mirrored else images
    padded = torch.zeros(6, 3, 8 + 2 * PADDING, 8 + 2 * PADDING, dtype=torch.float64)
    padded[..., PADDING:-PADDING, PADDING:-PADDING] = source
    flags = torch.full((6,), is_mirrored)
    result = flip_and_crop(images, flags, torch.tensor([[row, column]]).expand(6, -1))
    assert torch.equal(result, padded[..., row : row + 8, column : column + 8])


def test_every_image_has_its_own_crop(images):
    flags = torch.tensor([True, False, True, False, False, True])
    start = torch.tensor([[0, 0], [1, 2], [8, 8], [4, 4], [3, 7], [5, 1]])
    together = flip_and_crop(images, flags, start)
    for index in range(6):
        one = flip_and_crop(images[[index]], flags[[index]], start[[index]])
        assert torch.equal(together[index], one[0])


def test_half_of_the_images_are_mirrored_and_all_offsets_are_alike():
    uniform = torch.rand(18_000, 3, generator=torch.Generator().manual_seed(0))
    is_mirrored, start = draw_crop(uniform)
    assert abs(is_mirrored.float().mean() - 0.5) < 0.02
    counts = torch.stack([start[:, axis].bincount(minlength=9) for axis in (0, 1)])
    assert counts.shape == (2, 9)
    assert (counts - 2000).abs().max() < 250


def test_an_offset_stays_inside_the_padded_image():
    almost = torch.full((1, 3), 1 - torch.finfo(torch.float32).eps / 4)
    assert draw_crop(almost)[1].max() <= 2 * PADDING


@pytest.mark.parametrize("kind", ["affine", "flip_crop"])
def test_an_image_is_changed_by_its_own_seed_and_step_alone(images, kind):
    pack, alone = images.view(2, 3, 3, 8, 8), images[3:].unsqueeze(0)
    both, one = Noise(seeds=[4, 5], purpose="augment"), Noise(seeds=[5], purpose="augment")
    results = []
    for step in (3, 0):
        both.at(step)
        one.at(step)
        together = augment(pack, kind, both)
        torch.testing.assert_close(together[1], augment(alone, kind, one)[0])
        results.append(together)
    assert not torch.equal(*results)


def test_without_augmentation_images_stay_as_they_are(images):
    pack = images.view(2, 3, 3, 8, 8)
    assert augment(pack, "none", Noise(seeds=[0, 1])) is pack
