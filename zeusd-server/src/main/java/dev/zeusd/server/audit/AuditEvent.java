package dev.zeusd.server.audit;

import jakarta.json.JsonObject;
import jakarta.json.JsonObjectBuilder;
import jakarta.json.JsonString;
import jakarta.json.JsonValue;
import jakarta.json.spi.JsonProvider;
import java.time.Instant;
import java.util.Objects;
import java.util.function.BiConsumer;
import java.util.function.IntFunction;

/**
 * Something that has happened.
 *
 * @param level how important it is
 * @param text in words, on one line
 * @param facts all that is known of it
 */
public record AuditEvent(Level level, String text, JsonObject facts) {
  /** As syslog has them. */
  public enum Level {
    /** It failed. */
    WARNING(4),
    /** It was refused. */
    NOTICE(5),
    /** It was done. */
    INFO(6);

    private final int priority;

    Level(int priority) {
      this.priority = priority;
    }

    int priority() {
      return priority;
    }
  }

  /** Looked up once, and only where there is a log. */
  private static final class Library {
    static final JsonProvider JSON = JsonProvider.provider();
  }

  /**
   * To build facts, or parts of them.
   *
   * @return what builds facts, or parts of them
   */
  public static JsonProvider provider() {
    return Library.JSON;
  }

  /**
   * {@return facts of something that happens now}
   *
   * @param event what it is, in a word
   */
  public static JsonObjectBuilder facts(String event) {
    return provider()
        .createObjectBuilder()
        .add("time", Instant.now().toString())
        .add("event", event);
  }

  /** Makes one line of the text. */
  public AuditEvent {
    Objects.requireNonNull(level);
    Objects.requireNonNull(facts);
    text = harmless(text, c -> " ");
  }

  /**
   * One line of JSON, without its end. What could end a line elsewhere, or move a terminal or the
   * order of letters, is escaped.
   */
  String json() {
    return harmless(facts.toString(), AuditEvent::escaped);
  }

  private static String escaped(int c) {
    StringBuilder escaped = new StringBuilder();
    for (char half : Character.toChars(c)) {
      escaped.append("\\u%04x".formatted((int) half));
    }
    return escaped.toString();
  }

  /** With something in place of each code point that may do harm. */
  private static String harmless(String text, IntFunction<String> substitute) {
    StringBuilder line = new StringBuilder(text.length());
    for (int at = 0; at < text.length(); ) {
      int c = text.codePointAt(at);
      if (isHarmless(c)) {
        line.appendCodePoint(c);
      } else {
        line.append(substitute.apply(c));
      }
      at += Character.charCount(c);
    }
    return line.toString();
  }

  private static boolean isHarmless(int c) {
    return switch (Character.getType(c)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR,
          Character.SURROGATE ->
          false;
      default -> true;
    };
  }

  /** Has each fact that is not a list taken by a name like {@code peer_uid}, and its value. */
  void forEachField(BiConsumer<String, String> taker) {
    forEachField("", facts, taker);
  }

  private static void forEachField(
      String start, JsonObject object, BiConsumer<String, String> taker) {
    object.forEach(
        (name, value) -> {
          if (value instanceof JsonObject inner) {
            forEachField(start + name + "_", inner, taker);
          } else if (!value.equals(JsonValue.NULL)) {
            taker.accept(start + name, text(value));
          }
        });
  }

  private static String text(JsonValue value) {
    return value instanceof JsonString string ? string.getString() : value.toString();
  }
}
