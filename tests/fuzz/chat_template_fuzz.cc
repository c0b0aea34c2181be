// A template, a zero byte, and JSON for its messages: what is rendered must be covered by segments without gaps, and
// what is left to the template must not have come from the messages.
#include "data/chat_template/chat_template.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hadal;
  return fuzz::refuse_or_accept([&] {
    const std::string_view input = fuzz::text_of(data, size);
    const std::size_t cut = input.find('\0');
    const ChatTemplate chat = ChatTemplate::parse(input.substr(0, cut));
    Json messages = JsonArray{JsonObject{{"role", "user"}, {"content", "\u0416\u0416"}}};
    if (cut != std::string_view::npos) messages = parse_json(input.substr(cut + 1), "messages");
    const RenderOptions options{
        .add_generation_prompt = true,
        .now = std::tm{},
        .limits = {.max_steps = 200'000, .max_heap_bytes = 16 << 20, .max_output_bytes = 1 << 20}};
    const RenderedPrompt prompt = chat.render(messages, nullptr, options);
    std::size_t end = 0;
    for (const PromptSegment& s : prompt.segments) {
      fuzz::require(s.begin == end && s.end > s.begin);
      end = s.end;
      // U+0416 is rare enough to be the message's when the template does not have it.
      if (cut == std::string_view::npos && s.source == PromptSource::kTemplate &&
          input.find("\\") == std::string_view::npos && input.find("\xD0\x96") == std::string_view::npos &&
          input.find("\xD0\xB6") == std::string_view::npos)
        fuzz::require(prompt.text.substr(s.begin, s.end - s.begin).find("\xD0\x96") == std::string::npos);
    }
    fuzz::require(end == prompt.text.size());
  });
}
