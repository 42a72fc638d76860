package dev.zeusd.cli;

import dev.zeusd.core.GpuBackend;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.server.ApiGroup;
import dev.zeusd.server.StreamFormat;
import java.net.InetSocketAddress;
import java.util.Arrays;
import java.util.Locale;
import java.util.function.Function;
import java.util.stream.Collectors;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Texts of the command line into values; a text that does not fit is told what would. */
final class Converters {
  private Converters() {}

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

  private static int number(String text, int min, int max) {
    try {
      int number = Integer.parseInt(text);
      if (number >= min && number <= max) {
        return number;
      }
    } catch (NumberFormatException e) {
      // Told below.
    }
    throw new TypeConversionException(
        "'" + text + "' is not a whole number from " + min + " to " + max);
  }

  static final class Mode implements ITypeConverter<ServeCommand.Mode> {
    @Override
    public ServeCommand.Mode convert(String text) {
      return oneOf(ServeCommand.Mode.values(), Converters::lowerCase, text);
    }
  }

  static final class Group implements ITypeConverter<ApiGroup> {
    @Override
    public ApiGroup convert(String text) {
      return oneOf(ApiGroup.values(), ApiGroup::wireName, text);
    }
  }

  static final class Backend implements ITypeConverter<GpuBackend> {
    private static final GpuBackend[] OFFERED = {
      GpuBackend.AUTO, GpuBackend.NVML, GpuBackend.SIMULATED
    };

    @Override
    public GpuBackend convert(String text) {
      return oneOf(OFFERED, Converters::lowerCase, text);
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

  static final class PollHz implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String text) {
      return number(text, 1, NodeConfig.MAX_POLL_HZ);
    }
  }

  static final class Workers implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String text) {
      return number(text, 1, 1024);
    }
  }

  static final class OwnerId implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String text) {
      return number(text, 0, Integer.MAX_VALUE);
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

  static final class BindAddress implements ITypeConverter<InetSocketAddress> {
    @Override
    public InetSocketAddress convert(String text) {
      int colon = text.lastIndexOf(':');
      String host = colon < 0 ? "" : text.substring(0, colon);
      boolean bracketed = host.startsWith("[") && host.endsWith("]");
      if (host.isEmpty() || host.contains(":") && !bracketed) {
        throw new TypeConversionException(
            "'" + text + "' is not HOST:PORT, such as 127.0.0.1:4938 or [::1]:4938");
      }
      int port = number(text.substring(colon + 1), 0, 65535);
      InetSocketAddress address =
          new InetSocketAddress(bracketed ? host.substring(1, host.length() - 1) : host, port);
      if (address.isUnresolved()) {
        throw new TypeConversionException("the host '" + host + "' is unknown");
      }
      return address;
    }
  }
}
