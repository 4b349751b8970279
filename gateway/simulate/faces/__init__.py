"""What each route of the two providers answers. One file per route family; ``FACES`` is the route table."""

from gateway.simulate.faces import chat_completions, embeddings, messages, models, moderations, responses
from gateway.simulate.faces.face import Face

FACES: tuple[Face, ...] = (
    *chat_completions.FACES,
    *responses.FACES,
    *embeddings.FACES,
    *moderations.FACES,
    *messages.FACES,
    *models.FACES,
)
