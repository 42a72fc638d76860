package dev.zeusd.cli;

import dev.zeusd.core.GpuBackend;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.server.ApiGroup;
import dev.zeusd.server.Listen;
import dev.zeusd.server.StreamFormat;
import dev.zeusd.server.WebAccess;
import dev.zeusd.server.audit.AuditTarget;
import dev.zeusd.server.auth.Claims;
import dev.zeusd.server.tls.TlsVersion;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.charset.StandardCharsets;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Texts of the command line into values; a text that does not fit is told what would. */
final class Converters {
  private Converters() {}

  private static String reason(String text, InvalidPathException e) {
    boolean ascii = text.chars().allMatch(c -> c < 128);
    return ascii ? e.getReason() : "this locale has not all of its characters; set LC_ALL=C.UTF-8";
  }

  private static <T> T oneOf(T[] values, Function<T, String> name, String text) {
    return Arrays.stream(values)
        .filter(value -> name.apply(value).equals(text))
        .findFirst()
        .orElseThrow(
            () ->
                new TypeConversionException(
                    "'"
                        + text
                        + "' is none of "
                        + Arrays.stream(values).map(name).collect(Collectors.joining(", "))));
  }

  private static String lowerCase(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }

  /** A whole number in a range, both ends included. */
  static long number(String text, long min, long max) {
    // Digits of other scripts are numbers to Java.
    if (text.matches("\\d{1,10}")) {
      long number = Long.parseLong(text);
      if (number >= min && number <= max) {
        return number;
      }
    }
    throw new TypeConversionException(
        "'" + text + "' is not a whole number from " + min + " to " + max);
  }

  static final class Modes implements ITypeConverter<ListenOptions.Modes>, Iterable<String> {
    @Override
    public ListenOptions.Modes convert(String text) {
      return new ListenOptions.Modes(
          Arrays.stream(text.split(",", -1))
              .map(name -> oneOf(ListenOptions.Mode.values(), Converters::lowerCase, name))
              .collect(Collectors.toCollection(() -> EnumSet.noneOf(ListenOptions.Mode.class))));
    }

    @Override
    public Iterator<String> iterator() {
      return Arrays.stream(ListenOptions.Mode.values()).map(Converters::lowerCase).iterator();
    }
  }

  /** Also what shells complete, since the names of the constants are not what it takes. */
  static final class OldestTls implements ITypeConverter<TlsVersion>, Iterable<String> {
    @Override
    public TlsVersion convert(String text) {
      return oneOf(TlsVersion.values(), TlsVersion::number, text);
    }

    @Override
    public Iterator<String> iterator() {
      return Arrays.stream(TlsVersion.values()).map(TlsVersion::number).iterator();
    }
  }

  static final class RestoreOn implements ITypeConverter<ServeCommand.RestoreOn> {
    @Override
    public ServeCommand.RestoreOn convert(String text) {
      return oneOf(
          ServeCommand.RestoreOn.values(), each -> lowerCase(each).replace('_', '-'), text);
    }
  }

  /** Several at once, which picocli adds to its list: its own splitting overlooks empty ones. */
  static final class Groups implements ITypeConverter<List<ApiGroup>> {
    @Override
    public List<ApiGroup> convert(String text) {
      return Arrays.stream(text.split(",", -1))
          .map(name -> oneOf(ApiGroup.values(), ApiGroup::wireName, name))
          .toList();
    }
  }

  /** Several at once, as for {@link Groups}. */
  static final class Scopes implements ITypeConverter<List<String>> {
    private static final String[] POSSIBLE =
        Stream.concat(
                Arrays.stream(ApiGroup.values()).map(ApiGroup::wireName),
                Stream.of(Claims.LEASE_ADMIN))
            .toArray(String[]::new);

    @Override
    public List<String> convert(String text) {
      return Arrays.stream(text.split(",", -1))
          .map(name -> oneOf(POSSIBLE, Function.identity(), name))
          .toList();
    }
  }

  /** Several at once, as for {@link Groups}. */
  static final class HostNames implements ITypeConverter<List<String>> {
    @Override
    public List<String> convert(String text) {
      return checked(text, names -> new WebAccess(names, Set.of()));
    }
  }

  /** Several at once, as for {@link Groups}. */
  static final class Origins implements ITypeConverter<List<String>> {
    @Override
    public List<String> convert(String text) {
      return checked(text, origins -> new WebAccess(Set.of(), origins));
    }
  }

  private static List<String> checked(String text, Consumer<Set<String>> check) {
    List<String> items = Arrays.asList(text.split(",", -1));
    try {
      check.accept(new LinkedHashSet<>(items));
    } catch (IllegalArgumentException e) {
      throw new TypeConversionException(e.getMessage());
    }
    return items;
  }

  static final class Backend implements ITypeConverter<GpuBackend> {
    private static final GpuBackend[] OFFERED = {
      GpuBackend.AUTO,
      GpuBackend.NVML,
      GpuBackend.AMDSMI,
      GpuBackend.SIMULATED,
      GpuBackend.SIMULATED_MIG
    };

    @Override
    public GpuBackend convert(String text) {
      return oneOf(OFFERED, backend -> lowerCase(backend).replace('_', '-'), text);
    }
  }

  static final class Format implements ITypeConverter<StreamFormat> {
    @Override
    public StreamFormat convert(String text) {
      return oneOf(StreamFormat.values(), StreamFormat::wireName, text);
    }
  }

  static final class LogLevel implements ITypeConverter<Logging.LogLevel> {
    @Override
    public Logging.LogLevel convert(String text) {
      return oneOf(Logging.LogLevel.values(), Converters::lowerCase, text);
    }
  }

  static final class FilePath implements ITypeConverter<Path> {
    @Override
    public Path convert(String text) {
      if (text.isBlank()) {
        throw new TypeConversionException("the path is empty");
      }
      try {
        return Path.of(text);
      } catch (InvalidPathException e) {
        throw new TypeConversionException(
            "'" + text + "' cannot be a path here: " + reason(text, e));
      }
    }
  }

  /** Several at once, as for {@link Groups}, but by lines, since a path may have commas in it. */
  static final class FilePaths implements ITypeConverter<List<Path>> {
    @Override
    public List<Path> convert(String text) {
      return Arrays.stream(text.split("\n", -1)).map(new FilePath()::convert).toList();
    }
  }

  /** A file, or the journal. */
  static final class AuditLog implements ITypeConverter<AuditTarget> {
    @Override
    public AuditTarget convert(String text) {
      return text.equals("journal")
          ? new AuditTarget.Journal(AuditTarget.Journal.SOCKET)
          : new AuditTarget.File(new FilePath().convert(text));
    }
  }

  static final class AuditFailure implements ITypeConverter<AccessOptions.AuditFailure> {
    @Override
    public AccessOptions.AuditFailure convert(String text) {
      return oneOf(AccessOptions.AuditFailure.values(), Converters::lowerCase, text);
    }
  }

  /** A Unix socket's has a limit of its own. */
  static final class SocketPath implements ITypeConverter<Path> {
    @Override
    public Path convert(String text) {
      Path path = new FilePath().convert(text);
      if (path.normalize().getFileName() == null || path.endsWith("..")) {
        throw new TypeConversionException("'" + text + "' is a directory; name a file in it");
      }
      if (text.getBytes(StandardCharsets.UTF_8).length > Listen.UnixSocket.MAX_PATH_BYTES) {
        throw new TypeConversionException(
            "'%s' is too long: a Unix socket's path has at most %d bytes"
                .formatted(text, Listen.UnixSocket.MAX_PATH_BYTES));
      }
      return path;
    }
  }

  /** Who a token is for. */
  static final class User implements ITypeConverter<String> {
    /** A token has to fit into the headers of a request: of our 16 KiB, and of a proxy's 8. */
    private static final int MAX_BYTES = 1024;

    @Override
    public String convert(String text) {
      if (text.isBlank()) {
        throw new TypeConversionException("the name is empty");
      }
      if (text.getBytes(StandardCharsets.UTF_8).length > MAX_BYTES) {
        throw new TypeConversionException(
            "the name has more than %d bytes; its tokens would not fit into a request"
                .formatted(MAX_BYTES));
      }
      if (text.chars().anyMatch(Character::isISOControl)) {
        throw new TypeConversionException("the name has control characters in it");
      }
      return text;
    }
  }

  static final class PollHz implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String text) {
      return (int) number(text, 1, NodeConfig.MAX_POLL_HZ);
    }
  }

  static final class Workers implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String text) {
      return (int) number(text, 1, 1024);
    }
  }

  static final class OwnerId implements ITypeConverter<Integer> {
    /** The next one means "leave it as it is" to chown(2). */
    private static final long MAX_ID = (1L << 32) - 2;

    @Override
    public Integer convert(String text) {
      // As the JDK has it, whose numbers are signed.
      return (int) number(text, 0, MAX_ID);
    }
  }

  static final class Octal implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String text) {
      if (!text.matches("[0-7]{1,4}") || Integer.parseInt(text, 8) > 0777) {
        throw new TypeConversionException("'" + text + "' is not octal, 0 to 777");
      }
      return Integer.parseInt(text, 8);
    }
  }

  /** Several at once, as for {@link Groups}. */
  static final class DeviceIds implements ITypeConverter<List<Integer>> {
    @Override
    public List<Integer> convert(String text) {
      return Arrays.stream(text.split(",", -1))
          .map(id -> (int) number(id.strip(), 0, 999_999))
          .toList();
    }
  }

  /** Whole seconds, up to an hour. */
  static final class Seconds implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String text) {
      return (int) number(text, 1, 3600);
    }
  }

  /** Power with its unit, in mW. */
  static final class PowerMw implements ITypeConverter<Long> {
    private static final Pattern POWER = Pattern.compile("(\\d{1,9}(?:\\.\\d{1,6})?) ?(mW|W|kW)");

    @Override
    public Long convert(String text) {
      Matcher matcher = POWER.matcher(text.strip());
      if (!matcher.matches()) {
        throw new TypeConversionException(
            "'" + text + "' is no power with its unit, such as 250W, 0.25kW or 250000mW");
      }
      int shift =
          switch (matcher.group(2)) {
            case "mW" -> 0;
            case "W" -> 3;
            default -> 6;
          };
      BigDecimal mw = new BigDecimal(matcher.group(1)).movePointRight(shift);
      return mw.setScale(0, RoundingMode.HALF_UP).longValueExact();
    }
  }
}
