package dev.zeusd.server.http;

import dev.zeusd.core.device.PowerScope;
import io.helidon.http.BadRequestException;
import io.helidon.webserver.http.ServerRequest;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * The parameters of a request, read strictly: whatever is missing, unknown, repeated or malformed
 * is refused with 400 and a message that names it.
 *
 * <p>Works on the raw query, because Helidon's parsed one hides repeated and undecodable values.
 */
public final class Query {
  /** The parameter of {@link #scope}. */
  public static final String SCOPE = "scope";

  private static final long MAX_U32 = 0xFFFF_FFFFL;

  private final Map<String, String> values = new LinkedHashMap<>();

  private Query() {}

  /**
   * Reads the query of a request.
   *
   * @param known the parameters that the endpoint has
   * @throws BadRequestException naming an unknown, repeated or malformed parameter
   */
  public static Query of(ServerRequest request, Set<String> known) {
    Query query = new Query();
    String raw = request.query().rawValue();
    if (raw == null || raw.isEmpty()) {
      return query;
    }
    for (String pair : raw.split("&", -1)) {
      int equals = pair.indexOf('=');
      String name = decode(equals < 0 ? pair : pair.substring(0, equals));
      if (!known.contains(name)) {
        throw new BadRequestException(
            "unknown parameter '" + name + "'; this endpoint takes " + list(known));
      }
      if (equals < 0) {
        throw new BadRequestException("parameter '" + name + "' has no value");
      }
      if (query.values.put(name, decodeValue(name, pair.substring(equals + 1))) != null) {
        throw new BadRequestException("parameter '" + name + "' is given more than once");
      }
    }
    return query;
  }

  private static String list(Set<String> names) {
    return names.isEmpty() ? "none" : String.join(", ", new TreeSet<>(names));
  }

  private static String decodeValue(String name, String raw) {
    try {
      return decode(raw);
    } catch (BadRequestException e) {
      throw new BadRequestException("parameter '" + name + "': " + e.getMessage());
    }
  }

  private static String decode(String raw) {
    if (raw.indexOf('%') < 0 && raw.indexOf('+') < 0) {
      return raw;
    }
    ByteBuffer bytes = ByteBuffer.allocate(raw.length() * 3);
    for (int i = 0; i < raw.length(); i++) {
      char c = raw.charAt(i);
      if (c == '%') {
        bytes.put((byte) (hexDigit(raw, i + 1) << 4 | hexDigit(raw, i + 2)));
        i += 2;
      } else {
        bytes.put(String.valueOf(c == '+' ? ' ' : c).getBytes(StandardCharsets.UTF_8));
      }
    }
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(bytes.flip()).toString();
    } catch (CharacterCodingException e) {
      throw new BadRequestException("'" + raw + "' in the query is not UTF-8");
    }
  }

  private static int hexDigit(String raw, int index) {
    int digit = index < raw.length() ? Character.digit(raw.charAt(index), 16) : -1;
    if (digit < 0) {
      throw new BadRequestException("'" + raw + "' in the query has a broken %-escape");
    }
    return digit;
  }

  /** A parameter, as it is. */
  String required(String name) {
    String value = values.get(name);
    if (value == null) {
      throw new BadRequestException("parameter '" + name + "' is missing");
    }
    return value;
  }

  /** The values of these parameters, for people. */
  Map<String, String> values(Set<String> names) {
    Map<String, String> some = new LinkedHashMap<>(values);
    some.keySet().retainAll(names);
    return some;
  }

  /** A parameter that may be left out. */
  public Optional<String> optional(String name) {
    return Optional.ofNullable(values.get(name));
  }

  /** What power is to cover, as the parameter {@code scope} says; empty if it is left out. */
  public Optional<PowerScope> scope() {
    return optional(SCOPE)
        .map(
            text ->
                PowerScope.of(text).orElseThrow(() -> malformed(SCOPE, "is not gpu or module")));
  }

  /** {@code true} or {@code false}, nothing else. */
  boolean bool(String name) {
    return switch (required(name)) {
      case "true" -> true;
      case "false" -> false;
      default -> throw malformed(name, "is not true or false");
    };
  }

  /** An unsigned number of 32 bits, in decimal digits. */
  long u32(String name) {
    return number(name, 0, MAX_U32);
  }

  private long number(String name, long min, long max) {
    String value = required(name);
    if (!isDecimal(value)) {
      throw malformed(name, "is not a whole number");
    }
    long number = value.length() > 10 ? Long.MAX_VALUE : Long.parseLong(value);
    if (number < min || number > max) {
      throw malformed(name, "is out of range (" + min + " to " + max + ")");
    }
    return number;
  }

  /** A time, or a span of it, in ms; up to the year 33,000. */
  long millis(String name) {
    String value = required(name);
    if (!isDecimal(value)) {
      throw malformed(name, "is not a whole number");
    }
    if (value.length() > 15) {
      throw malformed(name, "is out of range (0 to 999999999999999)");
    }
    return Long.parseLong(value);
  }

  /** A number of seconds within a range. */
  Duration seconds(String name, long min, long max) {
    return Duration.ofSeconds(number(name, min, max));
  }

  /**
   * Ids of devices, ascending; {@code all} where the parameter is left out.
   *
   * @param existing what may be asked for
   * @throws BadRequestException naming an id that does not exist
   */
  Collection<Integer> idsOrAll(String name, Collection<Integer> existing, Collection<Integer> all) {
    return values.containsKey(name) ? ids(name, existing) : all;
  }

  /** Ids of devices, ascending; the parameter is required. */
  Collection<Integer> ids(String name, Collection<Integer> existing) {
    Set<Integer> ids = new TreeSet<>();
    for (String item : required(name).split(",", -1)) {
      String id = item.strip();
      if (!isDecimal(id)) {
        throw malformed(name, "is not a comma-separated list of ids");
      }
      // Longer ones cannot exist, and would overflow.
      int number = id.length() > 9 ? -1 : Integer.parseInt(id);
      if (!existing.contains(number)) {
        throw malformed(
            name, "names device " + id + ", which does not exist; there are " + existing);
      }
      ids.add(number);
    }
    return ids;
  }

  private static boolean isDecimal(String text) {
    // Not as a stream: with each request for some of the devices, and with each write.
    for (int i = 0; i < text.length(); i++) {
      if (text.charAt(i) < '0' || text.charAt(i) > '9') {
        return false;
      }
    }
    return !text.isEmpty();
  }

  /** A refusal of the value of {@code name}. */
  public BadRequestException malformed(String name, String what) {
    String value = values.get(name);
    String shown = value.length() > 100 ? value.substring(0, 100) + "…" : value;
    return new BadRequestException("parameter '" + name + "': '" + shown + "' " + what);
  }
}
