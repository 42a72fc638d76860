package dev.zeusd.core.settings;

import dev.zeusd.ffm.posix.FileFacts;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.channels.Channels;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.zip.CRC32;

/**
 * What leases write, a line for each value before it reaches the driver: a few microseconds, since
 * nobody waits for the disk. What the process has handed to the kernel survives its death; a crash
 * of the machine ends what was set as well.
 *
 * <p>Each line has a checksum, and begins on a fresh line, so that one that is cut costs only
 * itself. Files are numbered; those before the newest are removed when all that they say is saved
 * elsewhere.
 *
 * <p>Thread-safe.
 */
final class WriteLog {
  private static final System.Logger LOG = System.getLogger(Leases.class.getName());
  private static final String PREFIX = "lease-writes-";
  private static final int LONG_BYTES = 1 << 16;

  /** Far more than is written while a long one is replaced. */
  private static final int MAX_BYTES = 1 << 23;

  private static final int PARTS = 6;

  /** A failed write, instead of the value. */
  private static final String FAILED = "failed";

  private final Path dir;

  // Guarded by this.
  private int current;
  private long bytes;
  private OutputStream out;

  /** Which file {@link #out} is, so that another one in its place is noticed. */
  private Object outKey;

  /**
   * One line.
   *
   * @param number counts lines
   * @param epoch of the lease
   * @param asked the value that is about to be written; empty if that has failed
   */
  record Line(long number, Setting setting, long epoch, Optional<SettingValue> asked) {
    private String text() {
      String text =
          String.join(
              " ",
              Long.toString(number),
              Long.toString(epoch),
              encode(setting.gpuUuid()),
              setting.key().wireName(),
              asked.map(SettingValue::text).orElse(FAILED));
      return text + " " + checksum(text);
    }

    /** Empty if it is damaged, or makes no sense here. */
    private static Optional<Line> parse(String line) {
      int end = line.lastIndexOf(' ');
      String[] parts = line.split(" ");
      if (parts.length != PARTS || !checksum(line.substring(0, end)).equals(parts[PARTS - 1])) {
        return Optional.empty();
      }
      // A newer zeusd may know settings that this one does not, and other values.
      try {
        return SettingKey.of(parts[3]).map(key -> of(parts, key));
      } catch (IllegalArgumentException e) {
        return Optional.empty();
      }
    }

    private static Line of(String[] parts, SettingKey key) {
      Optional<SettingValue> asked =
          parts[4].equals(FAILED)
              ? Optional.empty()
              : Optional.of(SettingValue.parse(key, parts[4]));
      Setting setting = new Setting(decode(parts[2]), key);
      return new Line(Long.parseLong(parts[0]), setting, Long.parseLong(parts[1]), asked);
    }
  }

  /** Nothing is done yet but to find out which files are there: what follows goes into the next. */
  WriteLog(Path dir) throws IOException {
    this.dir = dir;
    current = files().stream().mapToInt(file -> file + 1).max().orElse(0);
  }

  /** A text without blanks and line ends. */
  static String encode(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8);
  }

  static String decode(String text) {
    return URLDecoder.decode(text, StandardCharsets.UTF_8);
  }

  private static String checksum(String text) {
    CRC32 sum = new CRC32();
    sum.update(text.getBytes(StandardCharsets.UTF_8));
    return Long.toHexString(sum.getValue());
  }

  /** All lines of earlier processes that are whole, in the order in which they were numbered. */
  synchronized List<Line> read() throws IOException {
    List<Line> lines = new ArrayList<>();
    for (int file : files()) {
      if (file != current) {
        try {
          // Whatever the bytes are: damaged lines need not be UTF-8.
          String text = new String(end(path(file)), StandardCharsets.ISO_8859_1);
          text.lines().map(Line::parse).flatMap(Optional::stream).forEach(lines::add);
        } catch (IOException e) {
          LOG.log(
              System.Logger.Level.WARNING, "{0} is not used: {1}", path(file), FileFacts.reason(e));
        }
      }
    }
    lines.sort(Comparator.comparingLong(Line::number));
    return lines;
  }

  private Path path(int file) {
    return dir.resolve(PREFIX + file);
  }

  /** The numbers of those that there are. */
  private List<Integer> files() throws IOException {
    List<Integer> numbers = new ArrayList<>();
    try (DirectoryStream<Path> found = Files.newDirectoryStream(dir, PREFIX + "[0-9]*")) {
      for (Path file : found) {
        String number = file.getFileName().toString().substring(PREFIX.length());
        if (number.matches("[0-9]{1,9}")) {
          numbers.add(Integer.parseInt(number));
        }
      }
    } catch (DirectoryIteratorException e) {
      throw e.getCause();
    }
    return numbers;
  }

  /** All of a file, or the end of one that is not as this program leaves it. */
  private static byte[] end(Path file) throws IOException {
    if (!isOfProgram(file)) {
      // To open a FIFO waits for a writer, maybe for ever.
      throw new IOException("it is not a file of this program");
    }
    try (SeekableByteChannel channel = Files.newByteChannel(file)) {
      if (channel.size() > MAX_BYTES) {
        LOG.log(System.Logger.Level.WARNING, "{0} is far too long; only its end is read", file);
        channel.position(channel.size() - MAX_BYTES);
      }
      return Channels.newInputStream(channel).readNBytes(MAX_BYTES);
    }
  }

  private static boolean isOfProgram(Path file) {
    return Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS);
  }

  /** Hands a line to the kernel. */
  synchronized void append(Line line) throws IOException {
    byte[] text = ("\n" + line.text() + "\n").getBytes(StandardCharsets.UTF_8);
    if (out == null) {
      out = open(current);
      outKey = key(current);
    }
    bytes += text.length;
    // One call of the kernel; and unlike a channel, this is not closed by an interrupt.
    out.write(text);
  }

  private OutputStream open(int file) throws IOException {
    Path path = path(file);
    Files.deleteIfExists(path);
    Files.createFile(
        path, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
    return new FileOutputStream(path.toFile(), true);
  }

  private Object key(int file) throws IOException {
    return Files.readAttributes(path(file), BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS)
        .fileKey();
  }

  /** Whether what was appended can be read by others: nobody has removed the file. */
  synchronized boolean isThere() {
    try {
      return out == null || key(current).equals(outKey);
    } catch (IOException e) {
      return false;
    }
  }

  /** Goes on in a fresh file. */
  synchronized void beginAnew() throws IOException {
    if (out != null) {
      out.close();
      out = null;
      bytes = 0;
    }
  }

  /** Whether it is time to {@link #turn}. */
  synchronized boolean isLong() {
    return bytes > LONG_BYTES;
  }

  /** Lets what follows go into the next file; what is there is for {@link #forget}. */
  synchronized void turn() throws IOException {
    OutputStream next = open(current + 1);
    beginAnew();
    out = next;
    current++;
    outKey = key(current);
  }

  /** Drops what was written before the last {@link #turn}, and by earlier processes. */
  synchronized void forget() throws IOException {
    for (int file : files()) {
      if (file != current && isOfProgram(path(file))) {
        Files.deleteIfExists(path(file));
      }
    }
  }
}
