package dev.zeusd.client;

import jakarta.json.JsonArray;
import jakarta.json.JsonNumber;
import jakarta.json.JsonObject;
import jakarta.json.JsonReader;
import jakarta.json.JsonString;
import jakarta.json.JsonValue;
import jakarta.json.spi.JsonProvider;
import java.io.StringReader;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Reads what the daemon writes. What is missing is like what is null; what is new is passed over.
 */
final class Json {
  private Json() {}

  /** Looked for once: each call of the library's own shorthand would look through all jars. */
  private static final class Library {
    static final JsonProvider JSON = JsonProvider.provider();
  }

  static JsonObject object(String text) {
    try (JsonReader reader = Library.JSON.createReader(new StringReader(text))) {
      return reader.readObject();
    } catch (RuntimeException | StackOverflowError e) {
      // Among them one of no special kind, for what is nested too deep.
      throw ZeusdException.unreachable("what answers is no daemon: it sends no JSON", e);
    }
  }

  /**
   * What is said of each device.
   *
   * @throws ZeusdException if nothing was read, but errors
   */
  static <T> PerDevice<T> perDevice(Http.Text answer, String kind, Function<JsonObject, T> read) {
    JsonObject json = answer.json();
    return perDevice(answer, kind, json, (object, id) -> read.apply(object.getJsonObject(id)));
  }

  /** The same of members of {@code values}, a part of the answer. */
  static <T> PerDevice<T> perDevice(
      Http.Text answer, String kind, JsonObject values, BiFunction<JsonObject, String, T> read) {
    SortedMap<Integer, String> errors = errors(answer.json());
    SortedMap<Integer, T> byId = new TreeMap<>();
    for (String name : values.keySet()) {
      if (isId(name)) {
        byId.put(Integer.parseInt(name), understood(() -> read.apply(values, name)));
      }
    }
    if (byId.isEmpty() && !errors.isEmpty()) {
      throw ZeusdException.ofDevices(answer.status(), kind, errors);
    }
    return new PerDevice<>(byId, errors);
  }

  /** An object in another one; empty if there is none. */
  static JsonObject member(JsonObject json, String name) {
    JsonObject member = understood(() -> json.getJsonObject(name));
    return member == null ? JsonValue.EMPTY_JSON_OBJECT : member;
  }

  static SortedMap<Integer, String> errors(JsonObject json) {
    SortedMap<Integer, String> errors = new TreeMap<>();
    member(json, "errors")
        .forEach(
            (id, text) -> {
              if (isId(id)) {
                errors.put(Integer.parseInt(id), text(text));
              }
            });
    return errors;
  }

  private static boolean isId(String name) {
    return name.matches("\\d{1,9}");
  }

  private static String text(JsonValue value) {
    return value instanceof JsonString string ? string.getString() : value.toString();
  }

  /** With an exception of ours for an answer that is not as it has to be. */
  static <T> T understood(Supplier<T> read) {
    try {
      return read.get();
    } catch (ZeusdException e) {
      throw e;
    } catch (RuntimeException e) {
      // Members that are missing or of another kind, or numbers that are far too large.
      throw ZeusdException.unreachable("the answer of zeusd is not understood", e);
    }
  }

  static OptionalLong optionalLong(JsonObject json, String name) {
    return json.get(name) instanceof JsonNumber number
        ? OptionalLong.of(number.longValue())
        : OptionalLong.empty();
  }

  static OptionalInt optionalInt(JsonObject json, String name) {
    return json.get(name) instanceof JsonNumber number
        ? OptionalInt.of(number.intValue())
        : OptionalInt.empty();
  }

  static Optional<String> optionalString(JsonObject json, String name) {
    return json.get(name) instanceof JsonString string
        ? Optional.of(string.getString())
        : Optional.empty();
  }

  static Optional<Boolean> optionalBoolean(JsonObject json, String name) {
    JsonValue value = json.get(name);
    return value == JsonValue.TRUE || value == JsonValue.FALSE
        ? Optional.of(value == JsonValue.TRUE)
        : Optional.empty();
  }

  /** Of 64 bits without a sign. */
  static long unsigned(JsonObject json, String name) {
    return json.getJsonNumber(name).bigIntegerValue().longValue();
  }

  static List<String> strings(JsonObject json, String name) {
    JsonArray array = json.getJsonArray(name);
    return array == null ? List.of() : array.stream().map(Json::text).toList();
  }

  static List<Integer> ints(JsonObject json, String name) {
    JsonArray array = json.getJsonArray(name);
    return array == null
        ? List.of()
        : array.getValuesAs(JsonNumber.class).stream().map(JsonNumber::intValue).toList();
  }

  static List<JsonObject> objects(JsonObject json, String name) {
    JsonArray array = json.getJsonArray(name);
    return array == null ? List.of() : List.copyOf(array.getValuesAs(JsonObject.class));
  }
}
