package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import jakarta.json.Json;
import jakarta.json.JsonArray;
import jakarta.json.JsonObject;
import jakarta.json.JsonString;
import jakarta.json.JsonValue;
import java.io.IOException;
import java.io.StringReader;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Optional;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * {@code /openapi.json} tells what there is: the same paths, methods, parameters and scopes. What
 * is answered is compared with it in CI, by {@code packaging/web/openapi-check.py}.
 */
class OpenApiTest {
  private static final String ADD_IT = "add it to openapi.json";

  private static TestServer server;
  private static JsonObject document;

  /** An operation of the document. */
  private record Operation(String method, String path, JsonObject json) {
    /** The scopes of which a token needs one; empty where any token will do. */
    SortedSet<String> scopes() {
      SortedSet<String> scopes = new TreeSet<>();
      for (JsonObject way : security().getValuesAs(JsonObject.class)) {
        way.getJsonArray("token").getValuesAs(JsonString::getString).forEach(scopes::add);
      }
      return scopes;
    }

    boolean isOpenToAll() {
      return security().isEmpty();
    }

    private JsonArray security() {
      JsonArray own = json.getJsonArray("security");
      return own == null ? document.getJsonArray("security") : own;
    }

    /** The names of its parameters in the query. */
    SortedSet<String> parameters() {
      SortedSet<String> names = new TreeSet<>();
      JsonArray parameters = json.getJsonArray("parameters");
      for (JsonValue each : parameters == null ? JsonValue.EMPTY_JSON_ARRAY : parameters) {
        JsonObject parameter = resolved(each.asJsonObject());
        if (parameter.getString("in").equals("query")) {
          names.add(parameter.getString("name"));
        }
      }
      return names;
    }

    RawResponse ask(String query, String... headers) throws IOException {
      try (RawConnection connection = server.connect()) {
        connection.send(RawConnection.request(method, path + query, headers));
        return connection.readResponse();
      }
    }

    @Override
    public String toString() {
      return method + " " + path;
    }
  }

  @BeforeAll
  static void start() throws IOException {
    TestServer.freshNvml();
    server =
        TestServer.start(
            Transport.TCP, EnumSet.allOf(ApiGroup.class), Optional.of(TestTokens.checker()));
    RawResponse answer = server.get("/openapi.json");
    assertEquals(200, answer.status());
    assertEquals("application/json", answer.header("Content-Type"));
    document = Json.createReader(new StringReader(answer.body())).readObject();
  }

  @AfterAll
  static void stop() throws IOException {
    server.close();
  }

  private static JsonObject resolved(JsonObject object) {
    return object.containsKey("$ref")
        ? document.getValue(object.getString("$ref").substring(1)).asJsonObject()
        : object;
  }

  private static Iterable<Operation> operations() {
    return document.getJsonObject("paths").entrySet().stream()
            .flatMap(
                path ->
                    path.getValue().asJsonObject().entrySet().stream()
                        .map(
                            operation ->
                                new Operation(
                                    operation.getKey().toUpperCase(Locale.ROOT),
                                    path.getKey(),
                                    operation.getValue().asJsonObject())))
        ::iterator;
  }

  @Test
  void itHasTheServersPathsAndMethods() {
    SortedMap<String, String> documented = new TreeMap<>();
    operations().forEach(operation -> documented.put(operation.path, operation.method));
    assertEquals(server.endpoints(), documented, ADD_IT);
  }

  @Test
  void itHasTheParametersThatEachEndpointTakes() throws IOException {
    Pattern refusal = Pattern.compile("\\{\"error\":\"unknown parameter 'x'; .* takes (.*)\"}");
    String token = TestTokens.header("gpu-read", "gpu-control", "cpu-read");
    for (Operation operation : operations()) {
      RawResponse answer = operation.ask("?x=1", token);
      answer.assertError(400);
      Matcher matcher = refusal.matcher(answer.body());
      assertTrue(matcher.matches(), answer.body());
      SortedSet<String> documented = operation.parameters();
      String wanted = documented.isEmpty() ? "none" : String.join(", ", documented);
      assertEquals(matcher.group(1), wanted, operation + ": " + ADD_IT);
    }
  }

  @Test
  void itHasTheScopesThatEachEndpointNeeds() throws IOException {
    for (Operation operation : operations()) {
      if (operation.isOpenToAll()) {
        assertEquals(200, operation.ask("").status(), operation::toString);
        continue;
      }
      operation.ask("").assertError(401);
      if (operation.scopes().isEmpty()) {
        assertEquals(200, operation.ask("", TestTokens.header()).status(), operation::toString);
        continue;
      }
      operation.ask("", TestTokens.header()).assertError(403, "alice");
      for (String scope : operation.scopes()) {
        // Past the token, it is the parameter that is refused.
        operation.ask("?x=1", TestTokens.header(scope)).assertError(400, "unknown parameter 'x'");
      }
    }
  }

  @Test
  void itIsTheSameForAll() throws IOException {
    try (TestServer open = TestServer.start(Transport.UDS)) {
      assertEquals(server.get("/openapi.json").body(), open.get("/openapi.json").body());
    }
    server.get("/openapi.json?x=1").assertError(400, "unknown parameter 'x'");
  }
}
