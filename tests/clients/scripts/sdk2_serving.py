"""What the programs for the SageMaker SDK 2 do with a model that they have trained: deploy, predict, delete."""

import os
from pathlib import Path
from typing import Any

from sagemaker.deserializers import JSONDeserializer
from sagemaker.serializers import IdentitySerializer


def judged(trained: Any, pictures: Path) -> tuple[str, Any]:
    """Deploy an estimator or a tuner, ask it about a picture, and delete endpoint and model.

    Returns:
        The endpoint's name, and its answer.
    """
    predictor = trained.deploy(
        1,
        os.environ["LOUPE_EVALUATION_INSTANCE_TYPE"],
        role=os.environ["LOUPE_SERVING_ROLE_ARN"],
        image_uri=os.environ["LOUPE_SERVING_IMAGE"],
        serializer=IdentitySerializer("image/jpeg"),
        deserializer=JSONDeserializer(),
    )
    answer = predictor.predict(next(pictures.glob("images/*.jpg")).read_bytes())
    predictor.delete_model()
    predictor.delete_endpoint()
    return predictor.endpoint_name, answer
