package dev.zeusd.core.hwmon;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * One driver's sensors: a folder {@code hwmonN}.
 *
 * @param dir the folder
 * @param number the {@code N}; it may be another one after a reboot
 */
record Chip(Path dir, int number) {
  private static final Pattern FOLDER = Pattern.compile("hwmon(\\d{1,6})");
  private static final int LONGEST_TEXT = 128;

  /**
   * Those of the first of these directories that has any, by number. Of a directory whose links
   * lead nowhere, as where only a part of {@code /sys} is mounted, there are none.
   */
  static List<Chip> in(List<Path> dirs) {
    return dirs.stream()
        .map(Chip::in)
        .filter(chips -> !chips.isEmpty())
        .findFirst()
        .orElse(List.of());
  }

  private static List<Chip> in(Path dir) {
    try (Stream<Path> entries = Files.list(dir)) {
      return entries
          .filter(Files::isDirectory)
          .map(Chip::of)
          .flatMap(Optional::stream)
          .sorted(Comparator.comparingInt(Chip::number))
          .toList();
    } catch (IOException | UncheckedIOException e) {
      // As where there is no /sys: then there are none.
      return List.of();
    }
  }

  private static Optional<Chip> of(Path folder) {
    Matcher matcher = FOLDER.matcher(folder.getFileName().toString());
    return matcher.matches()
        ? Optional.of(new Chip(folder, Integer.parseInt(matcher.group(1))))
        : Optional.empty();
  }

  /** The driver's name for itself, or an empty text. */
  String name() {
    return text("name");
  }

  /** What stands in one of its files, on one line; empty if there is no such file. */
  String text(String file) {
    Path path = dir.resolve(file);
    if (!Files.isRegularFile(path)) {
      return "";
    }
    try (InputStream in = Files.newInputStream(path)) {
      return new String(in.readNBytes(LONGEST_TEXT), StandardCharsets.ISO_8859_1).strip();
    } catch (IOException e) {
      return "";
    }
  }

  /**
   * The device that it belongs to, where that really is; empty if it belongs to none. The device
   * stays where it is when its driver is loaded anew, and gets a chip with another number.
   */
  Optional<Path> device() {
    try {
      return Optional.of(dir.resolve("device").toRealPath());
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /** Where a file really is, whatever links lead there. */
  static Path real(Path file) {
    try {
      return file.toRealPath();
    } catch (IOException e) {
      return file;
    }
  }

  /** One of its files, if it is there: of the chip itself, or of the device that it belongs to. */
  Optional<Path> file(String name) {
    return Stream.of(dir.resolve(name), dir.resolve("device").resolve(name))
        .filter(Files::isRegularFile)
        .findFirst();
  }
}
