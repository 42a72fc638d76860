package dev.zeusd.server.http;

import io.helidon.http.Header;
import io.helidon.http.HeaderNames;
import io.helidon.http.HeaderValues;
import io.helidon.http.Status;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.zip.CRC32;

/**
 * The page that shows the devices live. It says nothing by itself: its script asks the same
 * endpoints as everybody, with the token that its reader gives it.
 *
 * <p>Its files are read anew each time, since few ask for them, so they need not stay in memory.
 */
public final class LivePage {
  private static final String UPLOT = "META-INF/resources/webjars/uplot/1.6.30/dist/";

  private static final List<Header> HEADERS =
      List.of(
          // Nothing but its own files, and nobody's but this daemon's answers.
          HeaderValues.create(
              "Content-Security-Policy",
              "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
                  + " img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
          HeaderValues.create("X-Content-Type-Options", "nosniff"),
          HeaderValues.create("X-Frame-Options", "DENY"),
          HeaderValues.create("Referrer-Policy", "no-referrer"),
          HeaderValues.create("Cross-Origin-Resource-Policy", "same-origin"),
          // Kept, and asked for again by its ETag.
          HeaderValues.create(HeaderNames.CACHE_CONTROL, "no-cache"));

  /** A page without a state. */
  public LivePage() {}

  /** Registers its addresses. */
  public void addTo(Routes routes) {
    add(routes, "/", "page/index.html", "text/html; charset=utf-8");
    add(routes, "/page/style.css", "page/style.css", "text/css; charset=utf-8");
    add(routes, "/page/app.js", "page/app.js", "text/javascript; charset=utf-8");
    add(routes, "/page/uPlot.js", UPLOT + "uPlot.iife.min.js", "text/javascript; charset=utf-8");
    add(routes, "/page/uPlot.css", UPLOT + "uPlot.min.css", "text/css; charset=utf-8");
  }

  private static void add(Routes routes, String path, String resource, String contentType) {
    routes.page(path, (request, response) -> send(request, response, resource, contentType));
  }

  private static void send(
      ServerRequest request, ServerResponse response, String resource, String contentType) {
    Query.of(request, Set.of());
    byte[] body = read(resource);
    CRC32 sum = new CRC32();
    sum.update(body);
    String etag = "\"" + Long.toHexString(sum.getValue()) + "-" + body.length + "\"";
    HEADERS.forEach(response::header);
    response.header(HeaderValues.create(HeaderNames.ETAG, etag));
    boolean isKnown =
        request.headers().all(HeaderNames.IF_NONE_MATCH, List::of).stream()
            .anyMatch(tags -> tags.contains(etag));
    if (isKnown) {
      response.status(Status.NOT_MODIFIED_304).send();
      return;
    }
    response.header(HeaderValues.create(HeaderNames.CONTENT_TYPE, contentType));
    Routes.send(request, response, body);
  }

  /** From this package, or from another library. */
  private static InputStream open(String resource) {
    return resource.startsWith("META-INF/")
        ? LivePage.class.getClassLoader().getResourceAsStream(resource)
        : LivePage.class.getResourceAsStream(resource);
  }

  private static byte[] read(String resource) {
    try (InputStream in = open(resource)) {
      return Objects.requireNonNull(in, resource).readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
