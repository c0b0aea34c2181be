#include "serve/page.h"

#include <array>

namespace hadal {

extern const std::string_view page_html, page_css, page_js, page_markdown_js;

std::optional<HttpResponse> page_response(std::string_view path) {
  struct File {
    std::string_view path, type;
    const std::string_view* text;
  };
  constexpr std::array kFiles = {
      File{"/", "text/html; charset=utf-8", &page_html},
      File{"/chat.css", "text/css; charset=utf-8", &page_css},
      File{"/chat.js", "text/javascript; charset=utf-8", &page_js},
      File{"/markdown.js", "text/javascript; charset=utf-8", &page_markdown_js},
  };
  for (const File& file : kFiles) {
    if (file.path != path) continue;
    // The page may load and ask nothing but its own server.
    return HttpResponse{.status = 200,
                        .content_type = std::string(file.type),
                        .headers = {{"Content-Security-Policy",
                                     "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                                     "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
                                    {"X-Content-Type-Options", "nosniff"},
                                    {"Referrer-Policy", "no-referrer"},
                                    {"Cache-Control", "no-cache"}},
                        .body = std::string(*file.text)};
  }
  return std::nullopt;
}

}  // namespace hadal
